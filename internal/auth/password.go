package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"

	"tenantry/internal/problem"
)

const (
	// The cost of a hash (OWASP Password Storage Cheat Sheet).
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32

	// Stored parameters above these are not computed: a row that was tampered with must not take the server's memory.
	maxArgonMemory = 256 << 10
	maxArgonTime   = 16

	// hashWait is how long a request waits for its turn.
	hashWait = 5 * time.Second
)

// Hasher computes argon2id hashes, a bounded number at once: each takes a core and 19 MiB.
type Hasher struct {
	slots *semaphore.Weighted
	// dummy is what a password is compared with where there is none to compare with.
	dummy string
}

// NewHasher returns a hasher of at most concurrency hashes at once.
func NewHasher(concurrency int) *Hasher {
	return &Hasher{slots: semaphore.NewWeighted(int64(concurrency)), dummy: phc(random(argonSalt), random(argonKey))}
}

// Hash returns the PHC string of a password under a new salt.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	p := phcHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: random(argonSalt), size: argonKey}
	key, err := h.compute(ctx, password, p)
	if err != nil {
		return "", err
	}
	return phc(p.salt, key), nil
}

// Verify reports whether the password is the one that was hashed. Without a hash it takes the same time and reports false.
// The error is an outage: a queue that is full, never a wrong password.
func (h *Hasher) Verify(ctx context.Context, hash *string, password string) (bool, error) {
	stored := h.dummy
	if hash != nil {
		stored = *hash
	}
	p, err := parsePHC(stored)
	if err != nil {
		hash = nil
		if p, err = parsePHC(h.dummy); err != nil {
			return false, err
		}
	}
	key, err := h.compute(ctx, password, p)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, p.key) == 1 && hash != nil, nil
}

// compute returns the key of a password under the parameters of p, in its turn.
func (h *Hasher) compute(ctx context.Context, password string, p phcHash) ([]byte, error) {
	waiting, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	if err := h.slots.Acquire(waiting, 1); err != nil {
		return nil, problem.Unavailable(fmt.Errorf("wait for a turn to hash: %w", err))
	}
	// The slot is held until the hash is done, also for a client that has hung up meanwhile.
	defer h.slots.Release(1)
	return argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, p.size), nil
}

// phcHash is the parsed form of $argon2id$v=19$m=…,t=…,p=…$salt$key.
type phcHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
	size         uint32 // of the key
}

var errPHC = errors.New("not an argon2id hash with acceptable parameters")

func phc(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

func parsePHC(s string) (phcHash, error) {
	var h phcHash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return h, errPHC
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil {
		return h, errPHC
	}
	if h.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil {
		return h, errPHC
	}
	if h.memory < 8*uint32(h.threads) || h.memory > maxArgonMemory || h.time < 1 || h.time > maxArgonTime || h.threads < 1 ||
		h.threads > 16 || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return h, errPHC
	}
	h.size = uint32(len(h.key)) //nolint:gosec // at most 64
	return h, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

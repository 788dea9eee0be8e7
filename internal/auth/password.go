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

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/crypto/argon2"

	"tenantry/internal/httpapi"
	"tenantry/internal/problem"
)

const (
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32

	minArgonMemory = 19 << 10 // KiB
	minArgonTime   = 2
	// Stored parameters above these are not computed: a row that was tampered with must not take the server's memory.
	maxArgonMemory = 256 << 10
	maxArgonTime   = 16

	// For each hash that is computed at once, so many requests are under way and so many more wait to be let in, no longer
	// than hashWait. Those would not have their turn in time.
	hashRoom, hashQueue = 4, 100
	hashWait            = 5 * time.Second
)

// HashOptions are the cost of a hash and how many are computed at once.
type HashOptions struct {
	Concurrency int
	// MemoryKiB and Time are argon2id's m and t, with p = 1: at least 19456 and 2 (OWASP Password Storage Cheat Sheet), at
	// most 262144 and 16.
	MemoryKiB, Time int
}

// Hasher computes argon2id hashes, a bounded number at once: each takes a core and its memory.
type Hasher struct {
	admission    *admission
	slots        chan struct{}
	memory, time uint32
	// dummy is what a password is compared with where there is none to compare with.
	dummy string
	// waited is told how long a turn was waited for.
	waited func(stage string, wait time.Duration)
}

// NewHasher returns a hasher. Options out of bounds are drawn to the nearest bound.
func NewHasher(opts HashOptions) *Hasher {
	slots := max(1, opts.Concurrency)
	h := &Hasher{
		admission: newAdmission(slots*hashRoom, slots*hashQueue),
		slots:     make(chan struct{}, slots),
		memory:    uint32(min(max(opts.MemoryKiB, minArgonMemory), maxArgonMemory)),
		time:      uint32(min(max(opts.Time, minArgonTime), maxArgonTime)),
		waited:    func(string, time.Duration) {},
	}
	h.dummy = h.parameters(random(argonSalt), random(argonKey)).String()
	return h
}

// The stages in which a password waits.
const (
	// StageAdmission is the wait to be let in, before anything is asked of the database.
	StageAdmission = "admission"
	// StageTurn is the wait of each hash for one of the cores.
	StageTurn = "turn"
)

// Report tells how long each stage was waited for, also by those who gave up. It must be called before anybody hashes beside it.
func (h *Hasher) Report(waited func(stage string, wait time.Duration)) { h.waited = waited }

// Waiting returns how many requests are admitted to hashing, or wait for it.
func (h *Hasher) Waiting() int { return h.admission.size() }

// Running returns how many hashes are computed now.
func (h *Hasher) Running() int { return len(h.slots) }

func (h *Hasher) parameters(salt, key []byte) phcHash {
	return phcHash{memory: h.memory, time: h.time, threads: argonThreads, salt: salt, key: key, size: argonKey}
}

// Outdated reports whether a hash was computed at a lower cost than this hasher's.
func (h *Hasher) Outdated(hash string) bool {
	p, err := parsePHC(hash)
	return err == nil && (p.memory < h.memory || p.time < h.time)
}

// Hash returns the PHC string of a password under a new salt.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	p := h.parameters(random(argonSalt), nil)
	var err error
	if p.key, err = h.compute(ctx, password, p); err != nil {
		return "", err
	}
	return p.String(), nil
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
	if subtle.ConstantTimeCompare(key, p.key) == 1 && hash != nil {
		return true, nil
	}
	// A wrong password takes as long as one for an account that does not exist.
	for _, rest := range h.saved(p) {
		if _, err := h.compute(ctx, password, rest); err != nil {
			return false, err
		}
	}
	return false, nil
}

// saved returns hashes that cost together what one of lower cost saves: the cost of argon2id is its memory times its passes.
func (h *Hasher) saved(p phcHash) (rest []phcHash) {
	cost := int64(h.memory)*int64(h.time) - int64(p.memory)*int64(p.time)
	if passes := cost / int64(h.memory); passes > 0 {
		rest = append(rest, phcHash{memory: h.memory, time: uint32(passes), threads: 1, salt: p.salt, size: argonKey}) //nolint:gosec // at most maxArgonTime
	}
	if memory := cost % int64(h.memory); memory >= 1<<10 {
		rest = append(rest, phcHash{memory: uint32(memory), time: 1, threads: 1, salt: p.salt, size: argonKey}) //nolint:gosec // less than maxArgonMemory
	}
	return rest
}

var errBusy = errors.New("too many passwords wait to be hashed")

// Admit waits until a request may hash passwords, and returns the function that ends its work: 503
// when too many wait, or for too long. It comes before the database is asked, so that a crowd that
// signs in takes no connection from other requests.
func (h *Hasher) Admit(ctx context.Context, share Share) (leave func(), err error) {
	asked := time.Now()
	defer func() { h.waited(StageAdmission, time.Since(asked)) }()
	waiting, cancel := httpapi.Within(ctx, hashWait)
	defer cancel()
	switch err := h.admission.enter(waiting, share); {
	case err == nil:
		return h.admission.leave, nil
	case errors.Is(err, errBusy) || ctx.Err() == nil:
		return nil, problem.Unavailable(errBusy)
	default:
		return nil, problem.Unavailable(fmt.Errorf("wait to be let in to hash: %w", ctx.Err()))
	}
}

// compute returns the key of a password under the parameters of p, in its turn.
func (h *Hasher) compute(ctx context.Context, password string, p phcHash) ([]byte, error) {
	_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("tenantry/internal/auth").Start(ctx, "hash a password")
	defer span.End()
	asked := time.Now()
	select {
	case h.slots <- struct{}{}:
		h.waited(StageTurn, time.Since(asked))
		span.AddEvent("has its turn")
		// Held until the hash is done, also for a client that has hung up meanwhile.
		defer func() { <-h.slots }()
	case <-ctx.Done():
		h.waited(StageTurn, time.Since(asked))
		return nil, problem.Unavailable(fmt.Errorf("wait for a turn to hash: %w", ctx.Err()))
	}
	key := make(chan []byte, 1)
	go func() {
		yieldThread()
		key <- argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, p.size)
	}()
	return <-key, nil
}

// phcHash is the parsed form of $argon2id$v=19$m=…,t=…,p=…$salt$key.
type phcHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
	size         uint32 // of the key
}

var errPHC = errors.New("not an argon2id hash with acceptable parameters")

// String returns the PHC string.
func (p phcHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

func parsePHC(s string) (phcHash, error) {
	var h phcHash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
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
	if h.String() != s { // a number written in another way, or a line break, which base64 skips
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

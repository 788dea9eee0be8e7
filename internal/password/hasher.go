package password

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/crypto/argon2"

	"tenantry/internal/problem"
)

const (
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32

	minArgonMemory = 19 << 10 // KiB
	minArgonTime   = 2
	// Stored hashes with higher parameters are not computed: a manipulated row must not exhaust the
	// server's memory.
	maxArgonMemory = 256 << 10
	maxArgonTime   = 16

	// For each concurrent hash, hashRoom requests are admitted and hashQueue more wait for
	// admission, for hashWait at most.
	hashRoom, hashQueue = 4, 100
	hashWait            = 5 * time.Second
)

// HashOptions are the cost of a hash and the number of concurrent hashes.
type HashOptions struct {
	Concurrency int
	// MemoryKiB and Time are argon2id's m and t, with p = 1. Zero is the minimum of the OWASP Password
	// Storage Cheat Sheet, 19456 and 2; the configuration accepts nothing lower, and only tests set
	// less. At most 262144 and 16.
	MemoryKiB, Time int
}

// Hasher computes a bounded number of argon2id hashes at once: each occupies a core and its memory.
type Hasher struct {
	admission    *admission
	permits      chan struct{}
	memory, time uint32
	// highest is the cost of the most expensive hash that this process was configured with or has
	// verified, as memory << 32 | time. Every wrong password costs as much, so that the response
	// time does not disclose which accounts exist (ASVS 6.3.8). Only a restart lowers highest,
	// since other accounts may have such a hash.
	highest atomic.Uint64
	// salt and key belong to the dummy hash, which a password is compared with if the user has
	// none.
	salt, key []byte
	// computed is called before each hash is computed.
	computed func(phcHash)
	// waited is called with the duration of each wait.
	waited func(stage string, wait time.Duration)
}

// NewHasher returns a hasher. Options above a bound are set to it.
func NewHasher(opts HashOptions) *Hasher {
	concurrency := max(1, opts.Concurrency)
	h := &Hasher{
		admission: newAdmission(concurrency*hashRoom, concurrency*hashQueue),
		permits:   make(chan struct{}, concurrency),
		memory:    uint32(min(max(1, cmp.Or(opts.MemoryKiB, minArgonMemory)), maxArgonMemory)),
		time:      uint32(min(max(1, cmp.Or(opts.Time, minArgonTime)), maxArgonTime)),
		waited:    func(string, time.Duration) {},
		computed:  func(phcHash) {},
		salt:      random(argonSalt), key: random(argonKey),
	}
	h.raise(h.parameters(nil, nil))
	return h
}

// The stages of the wait for a hash.
const (
	// StageAdmission is the wait of a request for admission, before it uses the database.
	StageAdmission = "admission"
	// StageTurn is the wait of each hash for a permit.
	StageTurn = "turn"
)

// Report sets the function that is called with the duration of each wait, also of a cancelled one.
// It must be called before the first hash.
func (h *Hasher) Report(waited func(stage string, wait time.Duration)) { h.waited = waited }

// Waiting returns how many requests are admitted or wait for admission.
func (h *Hasher) Waiting() int { return h.admission.size() }

// Running returns how many hashes are computed now.
func (h *Hasher) Running() int { return len(h.permits) }

func (h *Hasher) parameters(salt, key []byte) phcHash {
	return phcHash{memory: h.memory, time: h.time, threads: argonThreads, salt: salt, key: key, size: argonKey}
}

// Outdated reports whether a hash was computed at a lower cost than this hasher's. A hash of a
// higher cost is not outdated: an instance with a newer configuration may have computed it.
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

// Verify reports whether the password matches the hash. If it does not match, or if the hash is nil
// or not valid, Verify costs as much as the most expensive hash. Its error is an outage, such as a
// cancelled wait, and never a wrong password.
func (h *Hasher) Verify(ctx context.Context, hash *string, password string) (bool, error) {
	if hash == nil {
		hash = new(string)
	}
	p, err := parsePHC(*hash)
	stored := err == nil
	if stored {
		h.raise(p)
	} else {
		p = h.dummy()
	}
	key, err := h.compute(ctx, password, p)
	if err != nil {
		return false, err
	}
	if subtle.ConstantTimeCompare(key, p.key) == 1 && stored {
		return true, nil
	}
	return false, h.equalise(ctx, password, p)
}

// ErrBusy is the cause of a 503 because too many requests wait for a hash.
var ErrBusy = errors.New("too many requests wait for a password hash")

// Admit waits until a request may hash passwords, and returns the function that the request calls
// when it has finished. It fails with 503 if too many requests wait, or after hashWait. Requests
// call it before they use the database, so that waiting sign-ins hold no connection.
func (h *Hasher) Admit(ctx context.Context, share Share) (leave func(), err error) {
	asked := time.Now()
	defer func() { h.waited(StageAdmission, time.Since(asked)) }()
	switch err := h.admission.enter(ctx, share); {
	case err == nil:
		return h.admission.leave, nil
	case errors.Is(err, ErrBusy):
		return nil, problem.Unavailable(ErrBusy)
	default:
		return nil, problem.Unavailable(fmt.Errorf("wait for admission to the password hasher: %w", ctx.Err()))
	}
}

// compute waits for a permit and returns the key of a password under the parameters of p.
func (h *Hasher) compute(ctx context.Context, password string, p phcHash) ([]byte, error) {
	_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("tenantry/internal/password").Start(ctx,
		"hash a password")
	defer span.End()
	asked := time.Now()
	select {
	case h.permits <- struct{}{}:
		h.waited(StageTurn, time.Since(asked))
		span.AddEvent("has its turn")
		// Released after the hash, also if the client has disconnected meanwhile.
		defer func() { <-h.permits }()
	case <-ctx.Done():
		h.waited(StageTurn, time.Since(asked))
		return nil, problem.Unavailable(fmt.Errorf("wait for the password hasher: %w", ctx.Err()))
	}
	h.computed(p)
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
	if h.memory < 8*uint32(h.threads) || h.memory > maxArgonMemory || h.time < 1 || h.time > maxArgonTime ||
		h.threads < 1 || h.threads > 16 || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return h, errPHC
	}
	if h.String() != s { // such as a number with leading zeros, or a line break, which base64 ignores
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

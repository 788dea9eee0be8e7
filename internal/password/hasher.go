package password

import (
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
	// Stored parameters above these are not computed: a row that was tampered with must not take
	// the server's memory.
	maxArgonMemory = 256 << 10
	maxArgonTime   = 16

	// For each hash that is computed at once, so many requests are under way and so many more wait
	// to be let in, no longer than hashWait. Those would not have their turn in time.
	hashRoom, hashQueue = 4, 100
	hashWait            = 5 * time.Second
)

// HashOptions are the cost of a hash and how many are computed at once.
type HashOptions struct {
	Concurrency int
	// MemoryKiB and Time are argon2id's m and t, with p = 1: at least 19456 and 2 (OWASP Password
	// Storage Cheat Sheet), at most 262144 and 16.
	MemoryKiB, Time int
}

// Hasher computes argon2id hashes, a bounded number at once: each takes a core and its memory.
type Hasher struct {
	admission    *admission
	slots        chan struct{}
	memory, time uint32
	// highest is the cost of the most expensive hash that this process was configured with or has
	// verified, as memory << 32 | time. Every password that is not right costs as much, so that
	// time does not tell which accounts exist (ASVS 6.3.8). Only a restart lowers highest, since
	// other accounts may have such a hash.
	highest atomic.Uint64
	// salt and key are what a password is compared with where there is no hash.
	salt, key []byte
	// computed is told of each hash before it is computed.
	computed func(phcHash)
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
		computed:  func(phcHash) {},
		salt:      random(argonSalt), key: random(argonKey),
	}
	h.raise(h.parameters(nil, nil))
	return h
}

// The stages in which a password waits.
const (
	// StageAdmission is the wait to be let in, before anything is asked of the database.
	StageAdmission = "admission"
	// StageTurn is the wait of each hash for one of the cores.
	StageTurn = "turn"
)

// Report tells how long each stage was waited for, also by those who gave up. It must be called
// before anybody hashes beside it.
func (h *Hasher) Report(waited func(stage string, wait time.Duration)) { h.waited = waited }

// Waiting returns how many requests are admitted to hashing, or wait for it.
func (h *Hasher) Waiting() int { return h.admission.size() }

// Running returns how many hashes are computed now.
func (h *Hasher) Running() int { return len(h.slots) }

func (h *Hasher) parameters(salt, key []byte) phcHash {
	return phcHash{memory: h.memory, time: h.time, threads: argonThreads, salt: salt, key: key, size: argonKey}
}

// Outdated reports whether a hash was computed at a lower cost than this hasher's. One of a higher
// cost stays: an instance of a new configuration may have made it beside this one.
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

// Verify reports whether the password is the one that was hashed. Where it is not, or there is no
// hash that can be computed, it costs as much as the most expensive hash. The error is an outage: a
// queue that is full, never a wrong password.
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

// ErrBusy is the cause of the 503 of a password that is not hashed, because too many others wait.
var ErrBusy = errors.New("too many passwords wait to be hashed")

// Admit waits until a request may hash passwords, and returns the function that ends its work: 503
// when too many wait, or for too long. It comes before the database is asked, so that a crowd that
// signs in takes no connection from other requests.
func (h *Hasher) Admit(ctx context.Context, share Share) (leave func(), err error) {
	asked := time.Now()
	defer func() { h.waited(StageAdmission, time.Since(asked)) }()
	switch err := h.admission.enter(ctx, share); {
	case err == nil:
		return h.admission.leave, nil
	case errors.Is(err, ErrBusy):
		return nil, problem.Unavailable(ErrBusy)
	default:
		return nil, problem.Unavailable(fmt.Errorf("wait to be let in to hash: %w", ctx.Err()))
	}
}

// compute returns the key of a password under the parameters of p, in its turn.
func (h *Hasher) compute(ctx context.Context, password string, p phcHash) ([]byte, error) {
	_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("tenantry/internal/password").Start(ctx,
		"hash a password")
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
		h.threads < 1 ||
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

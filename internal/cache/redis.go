package cache

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"tenantry/internal/batch"
)

// format is the version of the values and keys in Redis. A change of the CBOR form of a value
// increments it, so that instances of two releases do not read each other's values.
const format = "6"

const (
	// redisTimeout bounds the time that a request waits for Redis.
	redisTimeout = 100 * time.Millisecond
	// clockSkew is the largest difference between the clocks of instances.
	clockSkew = 30 * time.Second
	// maxReads is how many values one command reads.
	maxReads = 16
)

// Sharing configures the Redis tier.
type Sharing struct {
	// URL is the URL of a Redis server: redis://… or rediss://….
	URL string
	// Scope is the prefix of every key. Instances with the same scope share values.
	Scope string
	// Seal encrypts a value for a name. Open decrypts it, and fails for a value that was sealed for
	// another name.
	Seal func(plain []byte, name string) []byte
	Open func(sealed []byte, name string) ([]byte, error)
	Log  *slog.Logger
}

// shared is the Redis tier. It is read only while this instance has a valid lease.
type shared struct {
	Sharing
	client *redis.Client
	lease  atomic.Pointer[lease]
	reads  batch.Group[lookup]
	// observed is an epoch on probation.
	observed observed
	// failing is true after the failure of Redis was logged, until it works again.
	failing bool

	queue chan publication
	// pending are publications whose versions were read.
	pending []publication

	mu sync.Mutex
	// changed are the rows whose version keys must be deleted. undeleted is their number, until the
	// deletion has ended.
	changed   []uuid.UUID
	undeleted atomic.Int64
	wake      chan struct{}
}

// lookup is a read of one key, as a part of a batch.
type lookup struct {
	key string
	// value is nil if there is no valid one.
	value *envelope
	err   error
}

// envelope is the form of a value in Redis, in CBOR. CBOR is decoded in a third of the time of
// JSON.
type envelope struct {
	Epoch    string
	Rows     []uuid.UUID
	Versions []string
	// ValidAt is when the value was valid, by the clock of the instance that published it.
	ValidAt time.Time
	Value   cbor.RawMessage
	// size is the size of the envelope in bytes.
	size int
}

// Share adds the Redis tier. It must be called before the cache is used.
func (c *Cache) Share(sharing Sharing) error {
	opts, err := redis.ParseURL(sharing.URL)
	if err != nil {
		return errors.New("the URL of Redis cannot be read") // the cause would repeat the password
	}
	logging.Disable() // the cache logs failures itself
	// A request waits for one response at most. After a timeout the connection is closed, so that a
	// late response is not taken for that of another command (CVE-2025-29923).
	opts.DialTimeout, opts.ReadTimeout = redisTimeout, redisTimeout
	opts.WriteTimeout, opts.PoolTimeout = redisTimeout, redisTimeout
	opts.MaxRetries, opts.DialerRetries, opts.DisableIdentity = -1, 1, true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.shared = &shared{
		Sharing: sharing, client: redis.NewClient(opts), queue: make(chan publication, maxQueue),
		wake: make(chan struct{}, 1),
	}
	c.shared.reads = batch.Group[lookup]{Max: maxReads, AtOnce: 2, StallTimeout: redisTimeout, MaxWait: redisTimeout}
	return nil
}

// valueKey returns the Redis key of a value: a hash, so that keys do not show IDs or names.
func (s *shared) valueKey(key Key) string {
	parts := sha256.New()
	for _, part := range []string{key.Kind.String(), key.ID.String(), key.Name} {
		_ = binary.Write(parts, binary.BigEndian, uint64(len(part))) // a hash never fails
		parts.Write([]byte(part))
	}
	return s.Scope + ":" + format + ":" + key.Kind.String() + ":" + base64.RawURLEncoding.EncodeToString(parts.Sum(nil))
}

func (s *shared) versionKey(row uuid.UUID) string {
	return s.Scope + ":" + format + ":row:" + row.String()
}

func (s *shared) versionKeys(rows []uuid.UUID) []string {
	keys := make([]string, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, s.versionKey(row))
	}
	return keys
}

// getShared returns the value of a key from Redis, if it is valid: of the epoch of this instance's
// lease, and with the current version keys of its rows. A value that cannot be read counts as
// missing.
func getShared[V any](c *Cache, key Key) (loaded Loaded[V], ok bool) {
	s := c.shared
	if s == nil || !key.Kind.shared() {
		return loaded, false
	}
	held := s.validLease(c)
	if held == nil {
		return loaded, false
	}
	read := &lookup{key: s.valueKey(key)}
	s.reads.Answer(read, s.read) // a lookup that times out has no value
	if read.err != nil {
		s.release("Redis fails", read.err)
	}
	v := read.value
	if v == nil || v.Epoch != held.epoch || !c.newer(v.ValidAt, v.Rows, key.Kind.ttl()) ||
		cbor.Unmarshal(v.Value, &loaded.Value) != nil || s.validLease(c) == nil {
		return Loaded[V]{}, false
	}
	loaded.Rows, loaded.Size = v.Rows, v.size
	return loaded, true
}

// newer reports whether a value is newer than every change of its rows that this instance has read,
// and not older than its TTL. Redis has the version keys as well, but a client that can write to
// Redis, or a replica that is behind, could restore an old one.
func (c *Cache) newer(validAt time.Time, rows []uuid.UUID, ttl time.Duration) bool {
	for _, row := range rows {
		if validAt.UnixNano() < c.rowVersion(row).changedAt.Load()+int64(clockSkew) {
			return false
		}
	}
	age := time.Since(validAt)
	return age > -clockSkew && age < ttl+clockSkew
}

// read fills in the values that are of the current epoch and whose version keys are unchanged.
func (s *shared) read(batch []*lookup) {
	if err := s.readValid(batch); err != nil {
		for _, l := range batch {
			l.value, l.err = nil, err
		}
	}
}

func (s *shared) readValid(batch []*lookup) error {
	ctx := context.Background() // the client's own timeouts hold
	keys := []string{s.epochKey()}
	for _, l := range batch {
		keys = append(keys, l.key)
	}
	texts, err := oneEach(s.client.MGet(ctx, keys...), keys)
	if err != nil {
		return err
	}
	var rows []string
	for i, l := range batch {
		text, _ := texts[i+1].(string)
		if v := s.open(text, l.key); v != nil && v.Epoch == texts[0] {
			l.value, rows = v, append(rows, s.versionKeys(v.Rows)...)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	current, err := oneEach(s.client.MGet(ctx, rows...), rows)
	if err != nil {
		return err
	}
	for _, l := range batch {
		if l.value == nil {
			continue
		}
		for _, version := range l.value.Versions {
			if current[0] != version {
				l.value = nil
			}
			current = current[1:]
		}
	}
	return nil
}

// oneEach returns the values of keys, nil for a key that does not exist. It fails if the number of
// values is another.
func oneEach(read *redis.SliceCmd, keys []string) ([]any, error) {
	texts, err := read.Result()
	if err == nil && len(texts) != len(keys) {
		err = fmt.Errorf("%d values for %d keys", len(texts), len(keys))
	}
	return texts, err
}

// open decrypts and decodes an envelope. It returns nil for one that another scope, key or format
// has written.
func (s *shared) open(text, key string) *envelope {
	if text == "" {
		return nil
	}
	plain, err := s.Open([]byte(text), key)
	if err != nil {
		return nil
	}
	v := &envelope{size: len(text)}
	if cbor.Unmarshal(plain, v) != nil || len(v.Rows) == 0 || len(v.Rows) != len(v.Versions) {
		return nil
	}
	return v
}

// bypass makes validLease return nil until the change that follows has been passed on.
func (s *shared) bypass() {
	if s != nil {
		s.undeleted.Add(1)
	}
}

// change queues the keys of a row for deletion. bypass must be called before it.
func (s *shared) change(row uuid.UUID) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.changed = append(s.changed, row)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// deleteChanged deletes the keys of the rows that have changed: their version keys, and the values
// under their IDs, which would only wait to expire. After a failure it gives up the lease: the
// epoch ends unless another instance has deleted the keys.
func (s *shared) deleteChanged(ctx context.Context) {
	s.mu.Lock()
	changed := s.changed
	s.changed = nil
	s.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	keys := s.versionKeys(changed)
	for _, row := range changed {
		keys = append(keys, s.valueKey(Key{Kind: Session, ID: row}))
	}
	if err := s.client.Del(ctx, keys...).Err(); err != nil {
		s.release("Redis fails", err)
		s.observed = observed{}
	}
	s.undeleted.Add(-int64(len(changed)))
}

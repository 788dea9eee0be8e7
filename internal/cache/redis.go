package cache

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// version is that of the form of what is shared. Whoever changes what a value looks like in JSON raises it.
const version = "1"

const (
	// answerShared is how long the server may take to answer before it is taken for lost, which a request waits for at most.
	answerShared = 100 * time.Millisecond
	// stampLife is longer than any value is remembered, since a value without its stamps is worth nothing.
	stampLife = 2 * time.Hour
	// maxOffers is how many values may wait to be shared.
	maxOffers = 1024
)

// Sharing is how instances share what they remember.
type Sharing struct {
	// URL is that of a Redis server: redis://… or rediss://….
	URL string
	// Scope is the same for those who may share, and stands in front of every key.
	Scope string
	// Seal encrypts what belongs to a name, and Open is its inverse: what was sealed for another name it refuses.
	Seal func(plain []byte, name string) []byte
	Open func(sealed []byte, name string) ([]byte, error)
	Log  *slog.Logger
}

// shared is what instances remember together, in a Redis server. It is asked only while this instance has custody.
type shared struct {
	Sharing
	client  *redis.Client
	custody atomic.Pointer[custody]
	// seen is an era that somebody else keeps.
	seen seen
	// failing says that it was said that the server is not there.
	failing bool

	offers  chan offer
	pending []offer

	mu sync.Mutex
	// changed are rows whose stamps are to be taken away, and outstanding how many those are, until that is done.
	changed     []uuid.UUID
	outstanding atomic.Int64
	wake        chan struct{}
}

// sealed is the form of a value in Redis.
type sealed struct {
	Era    string          `json:"era"`
	Rows   []uuid.UUID     `json:"rows"`
	Stamps []string        `json:"stamps"`
	Value  json.RawMessage `json:"value"`
	// size is that of all of it.
	size int
}

// offer is a value that others may take.
type offer struct {
	key   Key
	entry entry
	// stamps were read at a time. The value is shared when the bus was heard beyond it, and nothing has changed.
	stamps []string
	at     time.Time
}

// Share lets the cache share what it remembers. It must be called before anything is asked.
func (c *Cache) Share(how Sharing) error {
	opts, err := redis.ParseURL(how.URL)
	if err != nil {
		return errors.New("the URL of Redis cannot be read") // the cause would repeat the password
	}
	logging.Disable() // of what it has to say we say what matters
	// A request waits for one answer at most. What is late is late for good: the connection is closed with it, so that no answer is taken
	// for another's (CVE-2025-29923).
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout, opts.PoolTimeout = answerShared, answerShared, answerShared, answerShared
	opts.MaxRetries, opts.DialerRetries, opts.DisableIdentity = -1, 1, true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.shared = &shared{Sharing: how, client: redis.NewClient(opts), offers: make(chan offer, maxOffers), wake: make(chan struct{}, 1)}
	return nil
}

// name returns where a value is found.
func (s *shared) name(key Key) string {
	parts := sha256.New()
	for _, part := range []string{key.Kind.String(), key.ID.String(), key.Name} {
		_ = binary.Write(parts, binary.BigEndian, uint64(len(part))) // a hash takes everything
		parts.Write([]byte(part))
	}
	return s.Scope + ":" + version + ":" + key.Kind.String() + ":" + base64.RawURLEncoding.EncodeToString(parts.Sum(nil))
}

func (s *shared) stamp(row uuid.UUID) string { return s.Scope + ":" + version + ":row:" + row.String() }

func (s *shared) stamps(rows []uuid.UUID) []string {
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		names = append(names, s.stamp(row))
	}
	return names
}

// find returns what is shared under a key, if that is true: of the era that this instance keeps, and with the stamps that its rows have now.
// Whatever is wrong with it, it is not found.
func find[V any](c *Cache, key Key) (loaded Loaded[V], ok bool) {
	s := c.shared
	if s == nil || !key.Kind.shared() {
		return loaded, false
	}
	held := s.trusted(c)
	if held == nil {
		return loaded, false
	}
	of, err := s.read(held, key)
	if err != nil {
		s.release("Redis fails", err)
	}
	if of == nil || json.Unmarshal(of.Value, &loaded.Value) != nil || s.trusted(c) == nil {
		return Loaded[V]{}, false
	}
	loaded.Rows, loaded.Size = of.Rows, of.size
	return loaded, true
}

// read returns what is shared under a key, nil if there is nothing of the era, or if its rows have other stamps now.
func (s *shared) read(held *custody, key Key) (*sealed, error) {
	ctx := context.Background() // the client's own limits hold
	name := s.name(key)
	found, err := s.client.MGet(ctx, name, s.era()).Result()
	if err != nil {
		return nil, err
	}
	text, _ := found[0].(string)
	if text == "" || found[1] != held.era {
		return nil, nil
	}
	of := sealed{size: len(text)}
	plain, err := s.Open([]byte(text), name)
	if err != nil || json.Unmarshal(plain, &of) != nil || of.Era != held.era || len(of.Rows) == 0 || len(of.Rows) != len(of.Stamps) {
		return nil, nil //nolint:nilerr // somebody else's, which is nothing
	}
	now, err := s.client.MGet(ctx, s.stamps(of.Rows)...).Result()
	if err != nil {
		return nil, err
	}
	for i, stamp := range now {
		if stamp != of.Stamps[i] {
			return nil, nil
		}
	}
	return &of, nil
}

// offer lets others take a value, if there is room.
func (s *shared) offer(key Key, e entry) {
	if s == nil || !key.Kind.shared() || s.custody.Load() == nil {
		return
	}
	select {
	case s.offers <- offer{key: key, entry: e}:
	default:
	}
}

// change takes the stamp of a row away, soon. Until that is done nothing is found.
func (s *shared) change(row uuid.UUID) {
	if s == nil {
		return
	}
	s.outstanding.Add(1) // before anybody can have taken the row from the list
	s.mu.Lock()
	s.changed = append(s.changed, row)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// forget takes away the stamps of what has changed. Who fails at it gives up custody, and the era ends unless somebody else has done it.
func (s *shared) forget(ctx context.Context) {
	s.mu.Lock()
	changed := s.changed
	s.changed = nil
	s.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	if err := s.client.Del(ctx, s.stamps(changed)...).Err(); err != nil {
		s.release("Redis fails", err)
		s.seen = seen{}
	}
	s.outstanding.Add(-int64(len(changed)))
}

// stampOffers reads the stamps of what is offered, and makes those that are missing.
func (s *shared) stampOffers(ctx context.Context) error {
	var taken []offer
	var rows []uuid.UUID
	for len(taken) < maxOffers && len(s.offers) > 0 {
		o := <-s.offers
		taken, rows = append(taken, o), append(rows, o.entry.rows...)
	}
	if len(taken) == 0 {
		return nil
	}
	made := s.client.Pipeline()
	for _, row := range rows {
		made.SetNX(ctx, s.stamp(row), rand.Text(), stampLife)
	}
	read := made.MGet(ctx, s.stamps(rows)...)
	if _, err := made.Exec(ctx); err != nil {
		return err
	}
	now, stamps := time.Now(), read.Val()
	for _, o := range taken {
		o.at = now
		for range o.entry.rows {
			text, _ := stamps[0].(string)
			o.stamps, stamps = append(o.stamps, text), stamps[1:]
		}
		s.pending = append(s.pending, o)
	}
	return nil
}

func (o offer) encode(era string) ([]byte, error) {
	value, err := json.Marshal(o.entry.value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{Era: era, Rows: o.entry.rows, Stamps: o.stamps, Value: value})
}

// shareOffers writes what is offered and was found to be true after its stamps were read.
func (s *shared) shareOffers(ctx context.Context, c *Cache, of *custody) error {
	heard := c.heardBefore()
	written := s.client.Pipeline()
	var waiting []offer
	for _, o := range s.pending {
		if !heard.After(o.at) {
			waiting = append(waiting, o)
			continue
		}
		if c.stamp(o.entry.rows) != o.entry.stamp {
			continue
		}
		plain, err := o.encode(of.era)
		if err != nil {
			s.Log.ErrorContext(ctx, "a value cannot be shared", "kind", o.key.Kind, "error", err)
			continue
		}
		name := s.name(o.key)
		written.Set(ctx, name, s.Seal(plain, name), o.key.Kind.ttl())
	}
	s.pending = waiting
	if written.Len() == 0 {
		return nil
	}
	_, err := written.Exec(ctx)
	return err
}

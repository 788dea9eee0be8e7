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

// version is that of the form of what is shared. Whoever changes what a value looks like in CBOR raises it.
const version = "4"

const (
	// answerShared is how long the server may take to answer before it is taken for lost, which a request waits for at most.
	answerShared = 100 * time.Millisecond
	// clocksApart is how far those of instances may be apart.
	clocksApart = 30 * time.Second
	// maxReads is how many values are read at once.
	maxReads = 16
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
	reads   batch.Group[wanted]
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

// wanted is a value that somebody asks for under a name.
type wanted struct {
	name string
	// found is nil if there is none that is true.
	found *sealed
	err   error
}

// sealed is the form of a value in Redis, in CBOR: by their names for JSON, values are read in a third of the time that JSON takes.
type sealed struct {
	Era    string
	Rows   []uuid.UUID
	Stamps []string
	// Made is when the value was known to be true, by the clock of who shares it.
	Made  time.Time
	Value cbor.RawMessage
	// size is that of all of it.
	size int
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
	c.shared.reads = batch.Group[wanted]{Max: maxReads, AtOnce: 2, Patience: answerShared, Longest: answerShared}
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
	asked := &wanted{name: s.name(key)}
	s.reads.Answer(asked, s.read) // who is not answered has found nothing
	if asked.err != nil {
		s.release("Redis fails", asked.err)
	}
	of := asked.found
	if of == nil || of.Era != held.era || !c.after(of.Made, of.Rows, key.Kind.ttl()) || cbor.Unmarshal(of.Value, &loaded.Value) != nil || s.trusted(c) == nil {
		return Loaded[V]{}, false
	}
	loaded.Rows, loaded.Size = of.Rows, of.size
	return loaded, true
}

// after reports whether a value was made after every change of its rows that this instance has heard of, and no longer ago than it may. The
// server has its stamps as well, but whoever can write to it, or a copy of it that is behind, could bring an old one back.
func (c *Cache) after(made time.Time, rows []uuid.UUID, life time.Duration) bool {
	for _, row := range rows {
		if made.UnixNano() < c.changedAt[slot(row)].Load()+int64(clocksApart) {
			return false
		}
	}
	age := time.Since(made)
	return age > -clocksApart && age < life+clocksApart
}

// read finds values that are of the era that there is, and whose rows have the stamps that they had.
func (s *shared) read(batch []*wanted) {
	if err := s.readStamped(batch); err != nil {
		for _, w := range batch {
			w.found, w.err = nil, err
		}
	}
}

func (s *shared) readStamped(batch []*wanted) error {
	ctx := context.Background() // the client's own limits hold
	names := []string{s.era()}
	for _, w := range batch {
		names = append(names, w.name)
	}
	texts, err := oneEach(s.client.MGet(ctx, names...), names)
	if err != nil {
		return err
	}
	var stamps []string
	for i, w := range batch {
		text, _ := texts[i+1].(string)
		if of := s.unseal(text, w.name); of != nil && of.Era == texts[0] {
			w.found, stamps = of, append(stamps, s.stamps(of.Rows)...)
		}
	}
	if len(stamps) == 0 {
		return nil
	}
	now, err := oneEach(s.client.MGet(ctx, stamps...), stamps)
	if err != nil {
		return err
	}
	for _, w := range batch {
		if w.found == nil {
			continue
		}
		for _, stamp := range w.found.Stamps {
			if now[0] != stamp {
				w.found = nil
			}
			now = now[1:]
		}
	}
	return nil
}

// oneEach returns what a server has answered, nil for what it has not, if that is one answer for each name.
func oneEach(read *redis.SliceCmd, names []string) ([]any, error) {
	texts, err := read.Result()
	if err == nil && len(texts) != len(names) {
		err = fmt.Errorf("%d values for %d names", len(texts), len(names))
	}
	return texts, err
}

// unseal returns what belongs to a name, nil for what is somebody else's.
func (s *shared) unseal(text, name string) *sealed {
	if text == "" {
		return nil
	}
	plain, err := s.Open([]byte(text), name)
	if err != nil {
		return nil
	}
	of := &sealed{size: len(text)}
	if cbor.Unmarshal(plain, of) != nil || len(of.Rows) == 0 || len(of.Rows) != len(of.Stamps) {
		return nil
	}
	return of
}

// bypass lets nothing be found until the change that follows has been passed on.
func (s *shared) bypass() {
	if s != nil {
		s.outstanding.Add(1)
	}
}

// change deletes the keys of a row, soon. bypass must be called before it.
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

// forget deletes the keys of the rows that have changed: their stamps, and the values under their IDs, which would only wait to
// expire. Who fails at it gives up custody, and the era ends unless somebody else has done it.
func (s *shared) forget(ctx context.Context) {
	s.mu.Lock()
	changed := s.changed
	s.changed = nil
	s.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	names := s.stamps(changed)
	for _, row := range changed {
		names = append(names, s.name(Key{Kind: Session, ID: row}))
	}
	if err := s.client.Del(ctx, names...).Err(); err != nil {
		s.release("Redis fails", err)
		s.seen = seen{}
	}
	s.outstanding.Add(-int64(len(changed)))
}

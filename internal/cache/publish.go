package cache

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"
)

const (
	// versionTTL is the TTL of version keys. It is longer than that of any value: a value without
	// its version keys is not valid.
	versionTTL = 2 * time.Hour
	// maxQueue is the length of the publish queue.
	maxQueue = 1024
)

// publication is a value in the publish queue.
type publication struct {
	key   Key
	entry *entry
	// versions were read at a time. The value is published after a read of the change log that
	// began later, if no row has changed.
	versions []string
	readAt   time.Time
}

// enqueue queues a value for publication, or drops it if the queue is full.
func (s *shared) enqueue(key Key, e *entry) {
	if s == nil || !key.Kind.shared() || s.lease.Load() == nil {
		return
	}
	select {
	case s.queue <- publication{key: key, entry: e}:
	default:
	}
}

// readVersions reads the version keys of the queued values, and creates those that are missing. It
// leaves out a value whose rows have changed since: no later change deletes a version key that is
// created for a deleted row.
func (s *shared) readVersions(ctx context.Context, c *Cache) error {
	var queued []publication
	var rows []uuid.UUID
	for n := 0; n < maxQueue && len(s.queue) > 0; n++ {
		p := <-s.queue
		if c.version(p.entry.rows) != p.entry.version {
			continue
		}
		queued, rows = append(queued, p), append(rows, p.entry.rows...)
	}
	if len(queued) == 0 {
		return nil
	}
	commands := s.client.Pipeline()
	for _, row := range rows {
		commands.SetNX(ctx, s.versionKey(row), rand.Text(), versionTTL)
	}
	keys := s.versionKeys(rows)
	read := commands.MGet(ctx, keys...)
	if _, err := commands.Exec(ctx); err != nil {
		return err
	}
	now := time.Now()
	versions, err := oneEach(read, keys)
	if err != nil {
		return err
	}
	for _, p := range queued {
		p.readAt = now
		for range p.entry.rows {
			text, _ := versions[0].(string)
			p.versions, versions = append(p.versions, text), versions[1:]
		}
		s.pending = append(s.pending, p)
	}
	return nil
}

// encoder keeps times to the nanosecond.
var encoder, _ = cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode() // valid options

func (p publication) encode(epoch string) ([]byte, error) {
	value, err := encoder.Marshal(p.entry.value)
	if err != nil {
		return nil, err
	}
	return encoder.Marshal(envelope{
		Epoch: epoch, Rows: p.entry.rows, Versions: p.versions, ValidAt: p.readAt, Value: value,
	})
}

// publish writes the values whose rows have not changed until a read of the change log that began
// after their versions were read.
func (s *shared) publish(ctx context.Context, c *Cache, held *lease) error {
	confirmed := c.confirmedAt()
	commands := s.client.Pipeline()
	var waiting []publication
	for _, p := range s.pending {
		if !confirmed.After(p.readAt) {
			waiting = append(waiting, p)
			continue
		}
		if c.version(p.entry.rows) != p.entry.version {
			continue
		}
		plain, err := p.encode(held.epoch)
		if err != nil {
			s.Log.ErrorContext(ctx, "cannot write cache entry to Redis", "kind", p.key.Kind, "error", err)
			continue
		}
		name := s.valueKey(p.key)
		commands.Set(ctx, name, s.Seal(plain, name), p.key.Kind.ttl())
	}
	s.pending = waiting
	if commands.Len() == 0 {
		return nil
	}
	_, err := commands.Exec(ctx)
	return err
}

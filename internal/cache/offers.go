package cache

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"
)

const (
	// stampLife is longer than any value is remembered, since a value without its stamps is worth nothing.
	stampLife = 2 * time.Hour
	// maxOffers is how many values may wait to be shared.
	maxOffers = 1024
)

// offer is a value that others may take.
type offer struct {
	key   Key
	entry *entry
	// stamps were read at a time. The value is shared after a read of the change log that began later, if nothing has changed.
	stamps []string
	at     time.Time
}

// offer lets others take a value, if there is room.
func (s *shared) offer(key Key, e *entry) {
	if s == nil || !key.Kind.shared() || s.custody.Load() == nil {
		return
	}
	select {
	case s.offers <- offer{key: key, entry: e}:
	default:
	}
}

// stampOffers reads the stamps of what is offered, and makes those that are missing. A value whose
// rows have changed since is left out: no later change deletes a stamp that is made for a deleted row.
func (s *shared) stampOffers(ctx context.Context, c *Cache) error {
	var taken []offer
	var rows []uuid.UUID
	for n := 0; n < maxOffers && len(s.offers) > 0; n++ {
		o := <-s.offers
		if c.stamp(o.entry.rows) != o.entry.stamp {
			continue
		}
		taken, rows = append(taken, o), append(rows, o.entry.rows...)
	}
	if len(taken) == 0 {
		return nil
	}
	made := s.client.Pipeline()
	for _, row := range rows {
		made.SetNX(ctx, s.stamp(row), rand.Text(), stampLife)
	}
	names := s.stamps(rows)
	read := made.MGet(ctx, names...)
	if _, err := made.Exec(ctx); err != nil {
		return err
	}
	now := time.Now()
	stamps, err := oneEach(read, names)
	if err != nil {
		return err
	}
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

// exact keeps times to the nanosecond.
var exact, _ = cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode() // these options are right

func (o offer) encode(era string) ([]byte, error) {
	value, err := exact.Marshal(o.entry.value)
	if err != nil {
		return nil, err
	}
	return exact.Marshal(sealed{Era: era, Rows: o.entry.rows, Stamps: o.stamps, Made: o.at, Value: value})
}

// shareOffers writes what is offered and was found to be true after its stamps were read.
func (s *shared) shareOffers(ctx context.Context, c *Cache, of *custody) error {
	confirmed := c.confirmedAt()
	written := s.client.Pipeline()
	var waiting []offer
	for _, o := range s.pending {
		if !confirmed.After(o.at) {
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

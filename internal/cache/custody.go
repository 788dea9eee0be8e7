package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// keepEvery is how often custody is renewed, and eraLife how long an era outlives those who keep it.
	keepEvery, eraLife = 150 * time.Millisecond, time.Second
	// witness is how long an era has to be seen before it is believed. By then somebody has renewed it who had heard the bus, and taken away
	// every stamp, after it was first seen: eraLife before now at most, by what was heard Silence before that.
	witness = 3 * time.Second
)

// custody is the right to believe what is shared, and the duty to take away the stamps of what changes. It is of an era, and of a time in
// which this instance has heard the bus without a gap.
type custody struct {
	era   string
	epoch uint64
}

// seen is an era that this instance does not keep, since when it was seen.
type seen struct {
	custody
	since time.Time
}

// lengthen gives an era another life, if it is still that.
var lengthen = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) end return 0`)

func (s *shared) era() string { return s.Scope + ":" + version + ":era" }

// trusted returns the custody by which what is shared is known to be true: this instance keeps the era, hears the bus, and has passed on
// what it has heard. Otherwise it is nil.
func (s *shared) trusted(c *Cache) *custody {
	held := s.custody.Load()
	if held != nil && held.epoch == c.epoch.Load() && s.outstanding.Load() == 0 && c.believed() {
		return held
	}
	return nil
}

// Shares reports whether what is remembered is shared now.
func (c *Cache) Shares() bool { return c.shared != nil && c.shared.trusted(c) != nil }

// release gives up custody.
func (s *shared) release(why string, err error) {
	if s.custody.Swap(nil) == nil {
		return
	}
	attrs := []slog.Attr{slog.String("why", why)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	s.Log.LogAttrs(context.Background(), slog.LevelWarn, "nothing is shared for now", attrs...)
}

// KeepShared keeps what is shared true until ctx is done.
func (c *Cache) KeepShared(ctx context.Context) {
	if c.shared == nil {
		return
	}
	defer c.shared.client.Close() //nolint:errcheck // nothing is waiting in it
	ticks := time.NewTicker(keepEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.shared.wake:
			c.shared.forget(ctx)
		case <-ticks.C:
			c.shared.keep(ctx, c)
		}
	}
}

// keep renews the custody of this instance, or seeks it, and shares what is offered. The order matters: what an era is renewed on is
// that everything was heard up to a time, and that the stamps of everything that was heard are gone.
func (s *shared) keep(ctx context.Context, c *Cache) {
	believed, epoch := c.believed(), c.epoch.Load()
	s.forget(ctx)
	held := s.custody.Load()
	var err error
	switch {
	case !believed:
		s.release("changes are not heard of", nil)
		s.seen = seen{}
		return
	case held == nil:
		held, err = s.seek(ctx, epoch)
	case held.epoch != epoch:
		s.release("changes were not heard of", nil)
		return
	default:
		held, err = s.renew(ctx, held)
	}
	if err == nil && held != nil {
		if err = s.shareOffers(ctx, c, held); err == nil {
			err = s.stampOffers(ctx)
		}
	}
	if err == nil {
		s.failing = false
		return
	}
	if s.release("Redis fails", err); !s.failing && held == nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "nothing is shared: Redis fails", slog.Any("error", err))
	}
	s.seen, s.failing = seen{}, true
}

// renew lengthens the era, and gives up custody of one that has ended.
func (s *shared) renew(ctx context.Context, held *custody) (*custody, error) {
	kept, err := lengthen.Run(ctx, s.client, []string{s.era()}, held.era, eraLife.Milliseconds()).Int()
	if err != nil {
		return nil, err
	}
	if kept == 0 {
		s.release("Redis has lost what was shared", nil)
		return nil, nil
	}
	return held, nil
}

// seek takes custody of a new era if there is none, or of one that somebody else has kept for long enough.
func (s *shared) seek(ctx context.Context, epoch uint64) (*custody, error) {
	held := &custody{rand.Text(), epoch}
	made, err := s.client.SetNX(ctx, s.era(), held.era, eraLife).Result()
	if err != nil {
		return nil, err
	}
	if !made {
		held.era, err = s.client.Get(ctx, s.era()).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		if s.seen.custody != *held {
			s.seen = seen{*held, time.Now()}
		}
		if held.era == "" || time.Since(s.seen.since) < witness {
			return nil, nil
		}
	}
	s.seen, s.pending = seen{}, nil
	s.custody.Store(held)
	s.Log.LogAttrs(ctx, slog.LevelInfo, "what is remembered is shared")
	return held, nil
}

package cache

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// keepEvery is how often custody is renewed, and eraLife how long an era outlives those who keep it.
	keepEvery, eraLife = 150 * time.Millisecond, time.Second
	// witness is how long an instance observes an era before it uses it. By then an instance has renewed the era that had read the change
	// log, and deleted the stamps of every change, after the first observation: at most eraLife ago, by a read Freshness before that.
	witness = 3 * time.Second
)

// custody is the right to believe what is shared, and the duty to take away the stamps of what changes. It is of an era, of a server, since
// another may have a copy that is behind, and of a time in which this instance has read the change log without a gap.
type custody struct {
	era, server string
	epoch       uint64
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
	if held != nil && held.epoch == c.epoch.Load() && s.outstanding.Load() == 0 && c.fresh() {
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
	fresh, epoch := c.fresh(), c.epoch.Load()
	s.forget(ctx)
	held := s.custody.Load()
	had := held != nil
	var err error
	switch {
	case !fresh:
		s.release("the change log is not read", nil)
		s.seen = seen{}
		return
	case !had:
		held, err = s.seek(ctx, epoch)
	case held.epoch != epoch:
		s.release("the change log was not read for a time", nil)
		return
	default:
		held, err = s.renew(ctx, held)
	}
	if err == nil && held != nil {
		if err = s.shareOffers(ctx, c, held); err == nil {
			err = s.stampOffers(ctx, c)
		}
	}
	if err == nil {
		s.failing = false
		return
	}
	if s.release("Redis fails", err); !s.failing && !had {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "nothing is shared: Redis fails", slog.Any("error", err))
	}
	s.seen, s.failing = seen{}, true
}

// renew lengthens the era, and gives up custody of one that has ended, or that a server has which may have missed something.
func (s *shared) renew(ctx context.Context, held *custody) (*custody, error) {
	both := s.client.Pipeline()
	kept := lengthen.Eval(ctx, both, []string{s.era()}, held.era, eraLife.Milliseconds())
	server := both.Info(ctx, "replication")
	if _, err := both.Exec(ctx); err != nil {
		return nil, err
	}
	switch n, err := kept.Int(); {
	case err != nil:
		return nil, err
	case n == 0:
		s.release("Redis has lost what was shared", nil)
	case history(server.Val()) != held.server:
		s.release("Redis is another server than before", nil)
	default:
		return held, nil
	}
	return nil, nil
}

// history names what a server has seen: another one that takes its place, or comes back without what it had, has another.
func history(info string) string {
	_, rest, _ := strings.Cut(info, "master_replid:")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// seek takes custody of a new era if there is none, or of one that somebody else has kept for long enough.
func (s *shared) seek(ctx context.Context, epoch uint64) (*custody, error) {
	all := s.client.Pipeline()
	made, life, server := all.SetNX(ctx, s.era(), rand.Text(), eraLife), all.PTTL(ctx, s.era()), all.Info(ctx, "replication")
	era := all.Get(ctx, s.era())
	if _, err := all.Exec(ctx); err != nil && (made.Err() != nil || life.Err() != nil || server.Err() != nil) {
		return nil, err
	}
	held := &custody{era.Val(), history(server.Val()), epoch}
	if !made.Val() {
		if left := life.Val(); era.Err() != nil || left < 0 || left > eraLife {
			s.seen = seen{}
			return nil, s.client.Del(ctx, s.era()).Err() // nobody's
		}
		if s.seen.custody != *held {
			s.seen = seen{*held, time.Now()}
		}
		if time.Since(s.seen.since) < witness {
			return nil, nil
		}
	}
	s.seen, s.pending = seen{}, nil
	s.custody.Store(held)
	s.Log.LogAttrs(ctx, slog.LevelInfo, "what is remembered is shared")
	return held, nil
}

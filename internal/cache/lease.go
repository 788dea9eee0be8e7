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
	// renewEvery is the interval of renewals, and epochTTL the time after which an epoch without
	// renewal ends.
	renewEvery, epochTTL = 150 * time.Millisecond, time.Second
	// probation is how long an instance observes an epoch before it uses it: long enough that some
	// holder has renewed the epoch with a read of the change log that began after the first
	// observation (at most epochTTL ago, by a read Freshness before).
	probation = 3 * time.Second
)

// lease is the right to use the values in Redis, and the duty to delete the version keys of rows
// that change. It is valid for one epoch on one history of a Redis primary, while this instance has
// read the change log without a gap.
type lease struct {
	epoch, server string
	// resets is the number of resets of the cache when the lease was taken.
	resets uint64
}

// observed is an epoch on probation, and since when.
type observed struct {
	lease
	since time.Time
}

// renewScript extends the TTL of the epoch key if it still holds this epoch.
var renewScript = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then
	return redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
return 0`)

func (s *shared) epochKey() string { return s.Scope + ":" + format + ":epoch" }

// validLease returns the lease of this instance if Redis may be used now: the cache is fresh, and
// the version keys of every change that was read are deleted. Otherwise it returns nil.
func (s *shared) validLease(c *Cache) *lease {
	held := s.lease.Load()
	if held != nil && held.resets == c.resets.Load() && s.undeleted.Load() == 0 && c.fresh() {
		return held
	}
	return nil
}

// Shares reports whether Redis may be used now.
func (c *Cache) Shares() bool { return c.shared != nil && c.shared.validLease(c) != nil }

// release gives up the lease.
func (s *shared) release(why string, err error) {
	if s.lease.Swap(nil) == nil {
		return
	}
	attrs := []slog.Attr{slog.String("reason", why)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	s.Log.LogAttrs(context.Background(), slog.LevelWarn, "shared cache disabled", attrs...)
}

// MaintainShared renews the lease, deletes version keys and publishes values until ctx is done.
func (c *Cache) MaintainShared(ctx context.Context) {
	if c.shared == nil {
		return
	}
	defer c.shared.client.Close() //nolint:errcheck // nothing is waiting in it
	ticks := time.NewTicker(renewEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.shared.wake:
			c.shared.deleteChanged(ctx)
		case <-ticks.C:
			c.shared.maintain(ctx, c)
		}
	}
}

// maintain renews or acquires the lease, and publishes the queue. The order matters: a renewal
// promises that the change log was read up to a time, and that the version keys of every change
// before it are deleted.
func (s *shared) maintain(ctx context.Context, c *Cache) {
	fresh, resets := c.fresh(), c.resets.Load()
	s.deleteChanged(ctx)
	held := s.lease.Load()
	had := held != nil
	var err error
	switch {
	case !fresh:
		s.release("the change log cannot be read", nil)
		s.observed = observed{}
		return
	case !had:
		held, err = s.acquire(ctx, resets)
	case held.resets != resets:
		s.release("the change log has a gap", nil)
		return
	default:
		held, err = s.renew(ctx, held)
	}
	if err == nil && held != nil {
		if err = s.publish(ctx, c, held); err == nil {
			err = s.readVersions(ctx, c)
		}
	}
	if err == nil {
		s.failing = false
		return
	}
	if s.release("Redis fails", err); !s.failing && !had {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "shared cache disabled: Redis fails", slog.Any("error", err))
	}
	s.observed, s.failing = observed{}, true
}

// renew extends the epoch. It gives up the lease if the epoch has ended, or if the server is one
// that may be behind.
func (s *shared) renew(ctx context.Context, held *lease) (*lease, error) {
	commands := s.client.Pipeline()
	renewed := renewScript.Eval(ctx, commands, []string{s.epochKey()}, held.epoch, epochTTL.Milliseconds())
	server := commands.Info(ctx, "replication")
	if _, err := commands.Exec(ctx); err != nil {
		return nil, err
	}
	switch n, err := renewed.Int(); {
	case err != nil:
		return nil, err
	case n == 0:
		s.release("the epoch in Redis has ended", nil)
	case history(server.Val()) != held.server:
		s.release("Redis has failed over or restarted", nil)
	default:
		return held, nil
	}
	return nil, nil
}

// history returns the replication ID of a server. A replica that was promoted, or a server that
// restarted, has another.
func history(info string) string {
	_, rest, _ := strings.Cut(info, "master_replid:")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// acquire takes the lease of a new epoch if there is none, or of an existing one after the
// probation. It returns nil meanwhile.
func (s *shared) acquire(ctx context.Context, resets uint64) (*lease, error) {
	key, commands := s.epochKey(), s.client.Pipeline()
	created, ttl := commands.SetNX(ctx, key, rand.Text(), epochTTL), commands.PTTL(ctx, key)
	server, epoch := commands.Info(ctx, "replication"), commands.Get(ctx, key)
	if _, err := commands.Exec(ctx); err != nil && (created.Err() != nil || ttl.Err() != nil || server.Err() != nil) {
		return nil, err
	}
	held := &lease{epoch.Val(), history(server.Val()), resets}
	if !created.Val() {
		if left := ttl.Val(); epoch.Err() != nil || left < 0 || left > epochTTL {
			s.observed = observed{}
			return nil, s.client.Del(ctx, key).Err() // not the key of an instance
		}
		if s.observed.lease != *held {
			s.observed = observed{*held, time.Now()}
		}
		if time.Since(s.observed.since) < probation {
			return nil, nil
		}
	}
	s.observed, s.pending = observed{}, nil
	s.lease.Store(held)
	s.Log.LogAttrs(ctx, slog.LevelInfo, "shared cache enabled")
	return held, nil
}

package cache_test

import (
	"crypto/aes"
	"crypto/cipher"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/cache"
	"tenantry/internal/cache/cachetest"
)

// member is an instance with a Redis tier. It reads the change log unless it is stalled.
type member struct {
	*cache.Cache
	stalled chan bool
}

// join returns a new member.
func join(t *testing.T, url string) member {
	t.Helper()
	return joinWith(t, url, 16<<20)
}

// joinWith returns a member whose in-process tier has maxBytes.
func joinWith(t *testing.T, url string, maxBytes int) member {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	m := member{cache.New(maxBytes), make(chan bool)}
	if err := m.Share(cache.Sharing{
		URL: url, Scope: "test", Log: slog.New(slog.DiscardHandler),
		Seal: func(plain []byte, name string) []byte { return aead.Seal(nil, nil, plain, []byte(name)) },
		Open: func(sealed []byte, name string) ([]byte, error) { return aead.Open(nil, nil, sealed, []byte(name)) },
	}); err != nil {
		t.Fatal(err)
	}
	m.Confirm(time.Now(), 0)
	go m.MaintainShared(t.Context())
	go func() {
		beat := time.NewTicker(50 * time.Millisecond)
		defer beat.Stop()
		stalled := false
		for {
			select {
			case <-t.Context().Done():
				return
			case stalled = <-m.stalled:
			case <-beat.C:
				if !stalled {
					m.Confirm(time.Now(), m.Writes())
				}
			}
		}
	}()
	return m
}

// findsNothing checks that a new member finds no value until it has a lease, and for a while after.
func (m member) findsNothing(t *testing.T, k cache.Key) {
	t.Helper()
	deadline, withLease := time.Now().Add(20*time.Second), 0
	for withLease < 200 {
		if got, loaded := get(t, m.Cache, k, "after"); !loaded {
			t.Fatalf("a new member finds %q", got)
		}
		if m.Shares() {
			withLease++
		}
		if time.Now().After(deadline) {
			t.Fatal("the new member gets no lease")
		}
		time.Sleep(time.Millisecond)
	}
}

// eventually polls a condition, and fails the test if it does not become true within 20 seconds.
func eventually(t *testing.T, what string, isTrue func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !isTrue(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

// publishedValues returns the keys of the sessions in Redis.
func publishedValues(t *testing.T, redis *cachetest.Redis) []string {
	return redis.Client.Keys(t.Context(), "test:*:session:*").Val()
}

// shares waits until a member finds a value in Redis that another has loaded.
func shares(t *testing.T, from, to member, k cache.Key, value string, rows ...uuid.UUID) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for round := 0; ; round++ {
		if round%100 == 0 { // a value that was loaded without a lease is not published
			for _, row := range rows {
				from.Changed(row)
			}
			get(t, from.Cache, k, value, rows...)
		}
		loaded := false
		before := to.Stats()[cache.Session].Shared
		got, err := cache.Get(to.Cache, k, func() (cache.Loaded[string], error) {
			loaded = true
			return cache.Loaded[string]{Value: value}, nil // without rows it is not cached
		})
		if err != nil || got != value {
			t.Fatal(got, err)
		}
		if !loaded && to.Stats()[cache.Session].Shared > before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the value is not found in Redis")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestShared_valueIsFoundByOthersUntilItChanges(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), joinWith(t, redis.URL, 0)
	user, session := uuid.New(), uuid.New()
	shares(t, a, b, key(1), "before", session, user)
	// Each reads the change by itself. Neither uses a value that was published before.
	a.Changed(user)
	b.Changed(user)
	for range 100 {
		for _, m := range []member{a, b} {
			if got, loaded := get(t, m.Cache, key(1), "after"); !loaded || got != "after" {
				t.Fatalf("found %q after the change", got)
			}
		}
	}
	c := join(t, redis.URL)
	c.findsNothing(t, key(1))
	shares(t, a, c, key(2), "other", session)
}

// A value that was published before a change that no instance has read is not used by a later
// instance.
func TestShared_valuesEndWithTheLastReader(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.URL)
	user := uuid.New()
	shares(t, a, b, key(1), "before", user)
	a.stalled <- true
	b.stalled <- true
	eventually(t, "the epoch ends", func() bool {
		return len(redis.Client.Keys(t.Context(), "test:*:epoch").Val()) == 0
	})
	c := join(t, redis.URL)
	c.findsNothing(t, key(1))
	shares(t, c, join(t, redis.URL), key(2), "new", user)
}

func TestShared_keysDoNotCollide(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.URL)
	row := uuid.New()
	shares(t, a, b, key(1), "first", row)
	// Names that would collide if one of these separators joined the parts of a key.
	var hostile []string
	for _, separator := range []string{":", "|", "*", "\n", "\x00"} {
		left, right := "a"+separator, separator+"b"
		for _, name := range []string{left + "b", left, right, left + "b" + separator} {
			hostile = append(hostile, name)
			get(t, a.Cache, cache.Key{Kind: cache.Session, Name: name}, name, row)
		}
	}
	eventually(t, "the values are published", func() bool { return len(publishedValues(t, redis)) > len(hostile) })
	for _, name := range hostile {
		if got, loaded := get(t, b.Cache, cache.Key{Kind: cache.Session, Name: name}, "database"); loaded ||
			got != name {
			t.Errorf("%q has the value of %q (loaded: %t)", name, got, loaded)
		}
	}
}

// A replica that is promoted may lack deletions of its primary. Its replication ID is another.
func TestShared_valuesEndWithAFailover(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.URL)
	row := uuid.New()
	shares(t, a, b, key(1), "before", row)
	turn := redis.Client.Pipeline()
	turn.ReplicaOf(t.Context(), "127.0.0.1", "1")
	turn.ReplicaOf(t.Context(), "NO", "ONE")
	if _, err := turn.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := join(t, redis.URL)
	c.findsNothing(t, key(1))
	shares(t, a, c, key(2), "new", row)
}

// A key of another kind in place of the epoch is deleted, and sharing goes on.
func TestShared_epochOfNoInstanceIsReplaced(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.URL)
	shares(t, a, b, key(1), "before", uuid.New())
	epoch := redis.Client.Keys(t.Context(), "test:*:epoch").Val()[0]
	for n, put := range []func() error{
		func() error { return redis.Client.LPush(t.Context(), epoch, "x").Err() },
		func() error { return redis.Client.Set(t.Context(), epoch, "x", 0).Err() },
	} {
		redis.Client.Del(t.Context(), epoch)
		if err := put(); err != nil {
			t.Fatal(err)
		}
		shares(t, a, b, key(byte(2+n)), "new", uuid.New())
	}
}

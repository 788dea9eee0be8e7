package cache_test

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
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

// findsNothing checks that a new member finds no value, for longer than its probation.
func (m member) findsNothing(t *testing.T, k cache.Key) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got, loaded := get(t, m.Cache, k, "after"); !loaded {
			t.Fatalf("a new member finds %q", got)
		}
	}
}

// shares waits until a member finds a value in Redis that another has loaded.
func shares(t *testing.T, from, to member, k cache.Key, value string, rows ...uuid.UUID) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for round := 0; ; round++ {
		if round%50 == 0 { // a value that was loaded without a lease is not published
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
		time.Sleep(20 * time.Millisecond)
	}
}

func TestShared_valueIsFoundByOthersUntilItChanges(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), joinWith(t, redis.URL, 0)
	user, session := uuid.New(), uuid.New()
	shares(t, a, b, key(1), "before", session, user)
	// Each hears of a change by itself. Neither finds what was made before.
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
	time.Sleep(cache.Freshness + 1500*time.Millisecond) // a change that nobody hears of
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
	// Names that would be one if the parts of a key were joined by any of these.
	var hostile []string
	for _, separator := range []string{":", "|", "*", "\n", "\x00"} {
		left, right := "a"+separator, separator+"b"
		for _, name := range []string{left + "b", left, right, left + "b" + separator} {
			hostile = append(hostile, name)
			get(t, a.Cache, cache.Key{Kind: cache.Session, Name: name}, name, row)
		}
	}
	time.Sleep(time.Second)
	for _, name := range hostile {
		if got, loaded := get(t, b.Cache, cache.Key{Kind: cache.Session, Name: name}, "database"); loaded ||
			got != name {
			t.Errorf("%q has the value of %q (loaded: %t)", name, got, loaded)
		}
	}
}

func TestShared_valueThatWasTamperedWithIsRefused(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b, c := join(t, redis.URL), join(t, redis.URL), join(t, redis.URL)
	ctx, row := t.Context(), uuid.New()
	values := func() map[string]string {
		values := map[string]string{}
		for _, name := range redis.Client.Keys(ctx, "test:*:session:*").Val() {
			values[name] = redis.Client.Get(ctx, name).Val()
			if strings.Contains(values[name], "mine") || strings.Contains(values[name], row.String()) {
				t.Errorf("%q = %q can be read", name, values[name])
			}
		}
		return values
	}
	shares(t, a, b, key(1), "mine", row)
	var name, value string
	for name, value = range values() { // there is one
	}
	shares(t, a, b, key(2), "theirs", uuid.New())
	var other string
	for n, v := range values() {
		if n != name {
			other = v
		}
	}
	if value == "" || other == "" || value == other {
		t.Fatalf("%q and %q are in Redis", value, other)
	}
	shares(t, a, c, key(3), "control", uuid.New()) // from here on c finds what is true
	for what, poison := range map[string]func() error{
		"another's": func() error { return redis.Client.Set(ctx, name, other, 0).Err() },
		"cut":       func() error { return redis.Client.Set(ctx, name, value[:len(value)-1], 0).Err() },
		"changed": func() error {
			return redis.Client.Set(ctx, name, value[:20]+string([]byte{value[20] ^ 1})+value[21:], 0).Err()
		},
		"empty": func() error { return redis.Client.Set(ctx, name, "", 0).Err() },
		"bare": func() error {
			return redis.Client.Set(ctx, name, `{"Epoch":"","Rows":[],"Versions":[],"value":"x"}`, 0).Err()
		},
		"list": func() error {
			redis.Client.Del(ctx, name)
			defer redis.Client.Del(ctx, name)
			return redis.Client.LPush(ctx, name, "x").Err()
		},
	} {
		if err := poison(); err != nil {
			t.Fatal(what, err)
		}
		if got, loaded := get(t, c.Cache, key(1), "database"); !loaded {
			t.Errorf("%s: found %q", what, got)
		}
	}
	if err := redis.Client.Set(ctx, name, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, loaded := get(t, c.Cache, key(1), "database"); loaded || got != "mine" {
		t.Errorf("the value that was restored is not found: %q", got)
	}
}

// A client that writes old values and version keys back does not make an instance use a value older
// than a change it has read.
func TestShared_valueThatIsOlderThanAKnownChangeIsRefused(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), joinWith(t, redis.URL, 0)
	ctx, row := t.Context(), uuid.New()
	shares(t, a, b, key(1), "before", row)
	old := map[string]string{}
	for _, name := range redis.Client.Keys(ctx, "test:*").Val() {
		if !strings.HasSuffix(name, ":epoch") {
			old[name] = redis.Client.Get(ctx, name).Val()
		}
	}
	if len(old) != 2 {
		t.Fatalf("%v are in Redis", old)
	}
	a.Changed(row)
	b.Changed(row)
	shares(t, a, b, key(2), "control", uuid.New())
	for name, value := range old {
		if err := redis.Client.Set(ctx, name, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if got, loaded := get(t, b.Cache, key(1), "after"); !loaded {
			t.Fatalf("found the old value %q", got)
		}
	}
	shares(t, a, b, key(3), "control", uuid.New())
}

// A replica that is promoted may lack deletions of its primary. It has another replication ID.
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

// Without a working Redis the cache answers quickly and with current values.
func TestShared_redisTroubleIsNeverAnErrorOrWrong(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.URL)
	ctx := t.Context()
	for _, disturbance := range []struct {
		name string
		make func() (end func())
	}{
		{"killed", func() func() { redis.Kill(); return redis.Restart }},
		{"paused", redis.Pause},
		{"flushed", func() func() { redis.Client.FlushAll(ctx); return func() {} }},
		{"full", func() func() {
			redis.Client.ConfigSet(ctx, "maxmemory", "1")
			return func() { redis.Client.ConfigSet(ctx, "maxmemory", "0") }
		}},
		{"wrong_types", func() func() {
			names := redis.Client.Keys(ctx, "*").Val()
			for _, name := range names {
				redis.Client.Del(ctx, name)
				redis.Client.LPush(ctx, name, "x")
			}
			return func() { redis.Client.Del(ctx, names...) }
		}},
	} {
		row := uuid.New()
		shares(t, a, b, key(1), "before", row)
		end := disturbance.make()
		a.Changed(row)
		b.Changed(row)
		begun := time.Now()
		answers, slow := 0, 0
		for time.Since(begun) < 2*time.Second {
			asked := time.Now()
			got, loaded := get(t, b.Cache, key(1), "after")
			if !loaded || got != "after" {
				t.Fatalf("%s: found %q", disturbance.name, got)
			}
			if time.Since(begun) > time.Second {
				answers++
				if time.Since(asked) > 30*time.Millisecond {
					slow++
				}
			}
		}
		if slow > answers/100 {
			t.Errorf("%s: %d of %d answers took longer than 30 ms", disturbance.name, slow, answers)
		}
		end()
	}
	shares(t, a, b, key(3), "at the end", uuid.New())
}

// A late response is not taken for that of another command (CVE-2025-29923).
func TestShared_lateResponsesAreNotMixedUp(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.Delayed(300*time.Millisecond))
	const values = 200
	shares(t, a, b, key(255), "first", uuid.New())
	for n := range byte(values) {
		get(t, a.Cache, key(n), fmt.Sprint("value of ", n), uuid.New())
	}
	time.Sleep(time.Second)
	before := b.Stats()[cache.Session].Shared
	found := func() uint64 { return b.Stats()[cache.Session].Shared - before }
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			// Each late response ends the lease for a while.
			for end := time.Now().Add(time.Minute); time.Now().Before(end) && found() < values/4; {
				n := byte(rand.IntN(values))
				if got, _ := get(t, b.Cache, key(n), fmt.Sprint("value of ", n)); got != fmt.Sprint("value of ", n) {
					t.Errorf("%d has the %s", n, got)
				}
				b.Evict()
			}
		})
	}
	readers.Wait()
	if found() < values/4 {
		t.Errorf("%d were found", found())
	}
}

package sessions_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/cache/cachetest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

// A new instance reads sessions that another has cached from Redis, without a statement. A client
// that can read Redis finds no secret there.
func TestShared_newInstanceReadsSessionsWithoutAStatement(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	opts := dbtest.Postgres(t)
	sharing := func(c *config.Config) { c.RedisURL = redis.URL }
	old := apitest.Start(t, opts, sharing)
	type session struct{ access, refresh string }
	var sessions []session
	for range 60 {
		access, refresh := old.Login()
		sessions = append(sessions, session{access, refresh})
	}
	old.CatchUp()
	old.WaitUntilShared()
	for _, s := range sessions {
		old.Expect(http.StatusOK, old.Call("GET", "/api/v1/users/me", s.access, nil))
	}
	published := func() int { return len(redis.Client.Keys(t.Context(), "*:session:*").Val()) }
	for deadline := time.Now().Add(5 * time.Second); published() < len(sessions) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	fresh := apitest.Start(t, opts, sharing)
	fresh.WaitUntilShared()
	// Each session is used once, so that a request without a statement has read it from Redis.
	n := 0
	for ; fresh.Expect(http.StatusOK, fresh.Call("GET", "/api/v1/users/me", sessions[n].access,
		nil)).Statements(t) != "0"; n++ {
		if n == len(sessions)-10 {
			t.Fatal("no session is read from Redis")
		}
		fresh.WaitUntilShared()
	}
	// The responses of both instances are equal.
	next := sessions[n+1]
	want := old.Expect(http.StatusOK, old.Call("GET", "/api/v1/users/me", next.access, nil))
	got := fresh.Expect(http.StatusOK, fresh.Call("GET", "/api/v1/users/me", next.access, nil))
	if string(got.Body) != string(want.Body) || got.Statements(t) != "0" {
		t.Errorf("with %s statements %s, want %s", got.Statements(t), got.Body, want.Body)
	}
	next = sessions[n+2]
	if a := fresh.Refresh(next.refresh); a.Status != http.StatusOK || a.Statements(t) != "1" {
		t.Errorf("a refresh answers %d with %s statements", a.Status, a.Statements(t))
	}
	next = sessions[n+3]
	want = old.Expect(http.StatusOK, old.Call("GET", "/api/v1/users?limit=1", next.access, nil))
	got = fresh.Expect(http.StatusOK, fresh.Call("GET", "/api/v1/users?limit=1", next.access, nil))
	if string(got.Body) != string(want.Body) || got.Statements(t) != "1" {
		t.Errorf("with %s statements %s, want %s", got.Statements(t), got.Body, want.Body)
	}
	secrets := []string{apitest.OwnerEmail, apitest.OwnerPassword}
	for _, s := range sessions {
		secrets = append(secrets, s.access, s.refresh)
	}
	expectNoSecret(t, redis, len(sessions), secrets)
}

// expectNoSecret fails the test if Redis has fewer keys than least, or a key or value with a secret.
func expectNoSecret(t *testing.T, redis *cachetest.Redis, least int, secrets []string) {
	t.Helper()
	keys := redis.Client.Keys(t.Context(), "*").Val()
	if len(keys) < least {
		t.Errorf("%d keys", len(keys))
	}
	for _, key := range keys {
		dump := key + redis.Client.Get(t.Context(), key).Val()
		for _, secret := range secrets {
			if strings.Contains(dump, secret) {
				t.Errorf("%q has %q", key, secret)
			}
		}
	}
}

// While Redis fails, requests are answered without an error, and within a second.
func TestShared_failingRedisDelaysNoRequest(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes Redis fail")
	}
	for name, disturb := range map[string]func(ctx context.Context, redis *cachetest.Redis) (end func()){
		"killed": func(_ context.Context, redis *cachetest.Redis) func() { redis.Kill(); return redis.Restart },
		"paused": func(_ context.Context, redis *cachetest.Redis) func() { return redis.Pause() },
		"flushed": func(ctx context.Context, redis *cachetest.Redis) func() {
			redis.Client.FlushAll(ctx)
			return func() {}
		},
		"full": func(ctx context.Context, redis *cachetest.Redis) func() {
			redis.Client.ConfigSet(ctx, "maxmemory", "1")
			return func() { redis.Client.ConfigSet(ctx, "maxmemory", "0") }
		},
		"wrong_types": func(ctx context.Context, redis *cachetest.Redis) func() {
			for _, key := range redis.Client.Keys(ctx, "*").Val() {
				redis.Client.Del(ctx, key)
				redis.Client.LPush(ctx, key, "x")
			}
			return func() { redis.Client.FlushAll(ctx) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := cachetest.Start(t)
			s := apitest.Start(t, dbtest.Postgres(t), func(c *config.Config) { c.RedisURL = redis.URL })
			var sessions []string // each is used once, so that no request finds it in the process
			for range 15 {
				access, _ := s.Login()
				sessions = append(sessions, access)
			}
			s.WaitUntilShared()
			end := disturb(t.Context(), redis)
			for n, access := range sessions {
				asked := time.Now()
				if a := s.Call("GET", "/api/v1/users/me", access, nil); a.Status != http.StatusOK {
					t.Errorf("%d %s", a.Status, a.Body)
				}
				if took := time.Since(asked); took > time.Second {
					t.Errorf("request %d took %s", n, took)
				}
				time.Sleep(100 * time.Millisecond) // spreads the requests over the stages of the failure
			}
			end()
		})
	}
}

package sessions_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/cache/cachetest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

// What one instance remembers a new one need not ask the database for. Nothing that is shared says
// anything to who reads it in Redis.
func TestShared_sessions_cost_a_new_instance_no_statement(t *testing.T) {
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
	time.Sleep(time.Second) // until it may share
	for _, s := range sessions {
		old.Expect(http.StatusOK, old.Call("GET", "/api/v1/users/me", s.access, nil))
	}
	fresh := apitest.Start(t, opts, sharing)
	// Each session is asked for once, so that what is not read from the database was shared.
	n := 0
	for ; fresh.Expect(http.StatusOK, fresh.Call("GET", "/api/v1/users/me", sessions[n].access,
		nil)).Statements(t) != "0"; n++ {
		if n == len(sessions)-10 {
			t.Fatal("nothing is shared")
		}
		time.Sleep(400 * time.Millisecond)
	}
	// And it is the same.
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
	keys := redis.Client.Keys(t.Context(), "*").Val()
	if len(keys) < len(sessions) {
		t.Errorf("%d keys", len(keys))
	}
	for _, key := range keys {
		dump := key + redis.Client.Get(t.Context(), key).Val()
		for _, s := range sessions {
			for _, secret := range []string{s.access, s.refresh, apitest.OwnerEmail, apitest.OwnerPassword} {
				if strings.Contains(dump, secret) {
					t.Errorf("%q has %q", key, secret)
				}
			}
		}
	}
}

// Whatever becomes of Redis, requests are answered, and none waits for it.
func TestRequests_are_answered_whatever_becomes_of_Redis(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	s := apitest.Start(t, dbtest.Postgres(t), func(c *config.Config) { c.RedisURL = redis.URL })
	var sessions []string // each is asked for once, so that it is not remembered
	for range 75 {
		access, _ := s.Login()
		sessions = append(sessions, access)
	}
	ctx := t.Context()
	for name, disturb := range map[string]func() (end func()){
		"killed":  func() func() { redis.Kill(); return redis.Restart },
		"paused":  redis.Pause,
		"flushed": func() func() { redis.Client.FlushAll(ctx); return func() {} },
		"full": func() func() {
			redis.Client.ConfigSet(ctx, "maxmemory", "1")
			return func() { redis.Client.ConfigSet(ctx, "maxmemory", "0") }
		},
		"wrong_types": func() func() {
			for _, key := range redis.Client.Keys(ctx, "*").Val() {
				redis.Client.Del(ctx, key)
				redis.Client.LPush(ctx, key, "x")
			}
			return func() { redis.Client.FlushAll(ctx) }
		},
	} {
		time.Sleep(time.Second) // until it shares again
		end := disturb()
		for n, access := range sessions[:15] {
			asked := time.Now()
			if a := s.Call("GET", "/api/v1/users/me", access, nil); a.Status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if took := time.Since(asked); took > time.Second {
				t.Errorf("%s: request %d took %s", name, n, took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		sessions = sessions[15:]
		end()
	}
}

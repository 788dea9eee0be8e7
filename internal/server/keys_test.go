package server_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tenantry/ent/signingkey"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/keyring"
	"tenantry/internal/principal"
	"tenantry/internal/signing"
)

// kid returns the id of the key that signed a token.
func kid(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// published returns the key set and how long it may be kept.
func (s *instance) published() (set jose.JSONWebKeySet, age time.Duration) {
	s.Helper()
	a := s.expect(http.StatusOK, s.call("GET", "/.well-known/jwks.json", "", nil))
	if err := json.Unmarshal(a.body, &set); err != nil {
		s.Fatal(err)
	}
	seconds := regexp.MustCompile(`max-age=(\d+)`).FindStringSubmatch(a.header.Get("Cache-Control"))
	if seconds == nil {
		s.Fatalf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
	age, err := time.ParseDuration(seconds[1] + "s")
	if err != nil {
		s.Fatal(err)
	}
	return set, age
}

// soon polls for what must come true within a second, and fails if it does not.
func soon(t testing.TB, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Second); !true(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a second: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// verifier is another service: it keeps the key set as long as it may, and asks for no key that it does not find there.
type verifier struct {
	s     *instance
	set   jose.JSONWebKeySet
	until time.Time
}

func (v *verifier) verify(access string) bool {
	if now := time.Now(); now.After(v.until) {
		set, age := v.s.published()
		v.set, v.until = set, now.Add(age)
	}
	token, err := jwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	found := v.set.Key(token.Headers[0].KeyID)
	return len(found) == 1 && token.Claims(found[0], &map[string]any{}) == nil
}

// Each instance signs while the keys change every two seconds, and each verifies the other's tokens, old and new, as does
// a service that keeps the key set.
func TestKeys_rotate_and_nobody_notices(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		rotating := func(c *config.Config) { c.KeyRotation = 2 * time.Second }
		instances := []*instance{start(t, opts, rotating), start(t, opts, rotating)}
		first, _ := instances[0].login()
		var (
			wait   sync.WaitGroup
			mu     sync.Mutex
			signed = map[string]bool{}
		)
		end := time.Now().Add(7 * time.Second)
		for i, s := range instances {
			other := instances[1-i]
			_, refresh := s.login()
			service := &verifier{s: other}
			wait.Go(func() {
				for time.Now().Before(end) && !t.Failed() {
					a := s.refresh(refresh)
					if a.status != http.StatusOK {
						t.Errorf("refresh: %d %s", a.status, a.body)
						return
					}
					access := a.field(t, "access_token")
					refresh = a.field(t, "refresh_token")
					if !service.verify(access) {
						t.Errorf("a service that keeps the key set refuses a token of key %s", kid(t, access))
					}
					for _, token := range []string{access, first} {
						if a := other.call("GET", "/api/v1/users/me", token, nil); a.status != http.StatusOK {
							t.Errorf("users/me: %d %s", a.status, a.body)
						}
					}
					mu.Lock()
					signed[kid(t, access)] = true
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		if len(signed) < 3 {
			t.Errorf("only %d keys have signed", len(signed))
		}
		states := map[signingkey.State]int{}
		for _, k := range instances[0].db.Client.SigningKey.Query().AllX(principal.System(t.Context(), "test")) {
			states[k.State]++
		}
		if states[signingkey.StateActive] != 1 || states[signingkey.StatePending] > 1 {
			t.Errorf("%v", states)
		}
	})
}

func TestKey_is_published_before_it_signs(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		command := command(t, opts)
		access, _ := s.login()
		out, err := command("", "keys", "rotate")
		if err != nil {
			t.Fatal(err)
		}
		next, at, _ := strings.Cut(strings.TrimSpace(out), " signs from ")
		begins, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		_, age := s.published()
		if age != 5*time.Minute || time.Until(begins) < age-time.Second {
			t.Errorf("the set may be kept for %s, and the key signs in %s", age, time.Until(begins))
		}
		soon(t, "the next key is published", func() bool { set, _ := s.published(); return len(set.Key(next)) == 1 })
		if again, _ := s.login(); kid(t, again) != kid(t, access) {
			t.Error("it signs before its time")
		}
		// A second call finds the key that waits.
		if out, err := command("", "keys", "rotate"); err != nil || !strings.HasPrefix(out, next) {
			t.Errorf("%v, %s", err, out)
		}
		if _, err := command("", "keys", "rotate", "--now"); err != nil {
			t.Fatal(err)
		}
		soon(t, "the next key signs", func() bool { token, _ := s.login(); return kid(t, token) == next })
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
	})
}

func TestRevoked_key_refuses_its_tokens_within_a_second(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		instances := []*instance{start(t, opts), start(t, opts)}
		access, refresh := instances[0].login()
		command := command(t, opts)
		if _, err := command("", "keys", "revoke", "unknown"); err == nil {
			t.Error("a key that does not exist was revoked")
		}
		if _, err := command("", "keys", "revoke", kid(t, access)); err != nil {
			t.Fatal(err)
		}
		for _, s := range instances {
			soon(t, "its tokens are refused", func() bool {
				return s.call("GET", "/api/v1/users/me", access, nil).status == http.StatusUnauthorized
			})
		}
		// The session goes on under another key.
		next := instances[1].expect(http.StatusOK, instances[1].refresh(refresh)).field(t, "access_token")
		if kid(t, next) == kid(t, access) {
			t.Error("the revoked key signs")
		}
		instances[0].expect(http.StatusOK, instances[0].call("GET", "/api/v1/users/me", next, nil))
		if out, err := command("", "keys", "list"); err != nil || strings.Contains(out, kid(t, access)) || !strings.Contains(out, "active") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func TestKey_that_has_retired_is_gone(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		command := command(t, opts)
		if _, err := command("", "keys", "rotate", "--now"); err != nil {
			t.Fatal(err)
		}
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
		s.db.Client.SigningKey.Update().Where(signingkey.StateEQ(signingkey.StateRetiring)).SetRetireAt(time.Now().Add(-time.Second)).
			ExecX(principal.System(t.Context(), "test"))
		soon(t, "its tokens are refused", func() bool {
			return s.call("GET", "/api/v1/users/me", access, nil).status == http.StatusUnauthorized
		})
		if set, _ := s.published(); len(set.Key(kid(t, access))) != 0 {
			t.Error("it is still published")
		}
	})
}

// Another algorithm is another key, which is published before it signs as every other.
func TestAlgorithm_that_was_changed_makes_the_next_key(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t))
	before := s.db.Client.SigningKey.Query().OnlyX(principal.System(t.Context(), "test"))
	opts := signing.Options{
		Keyring: keyring.New([]byte(testSecret), nil), Algorithm: "EdDSA", Rotation: time.Hour, Clock: func() time.Time { return time.Now().UTC() },
	}
	changed, err := signing.Open(t.Context(), s.db.Client, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := changed.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := s.db.Client.SigningKey.Query().Where(signingkey.StateEQ(signingkey.StatePending)).OnlyX(principal.System(t.Context(), "test"))
	if next.Alg != signingkey.AlgEdDSA || before.Alg != signingkey.AlgES256 || time.Until(next.NotBefore) < changed.MaxAge() {
		t.Errorf("%v after %v", next, before)
	}
}

// The secret is changed on one instance after the other: first each learns of the new one, then each uses it, then the old
// one goes.
func TestSecret_is_rotated_while_instances_serve(t *testing.T) {
	t.Parallel()
	const next = "the next secret for tests, long enough too"
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		secrets := func(current, previous string) func(*config.Config) {
			return func(c *config.Config) { c.Secret, c.SecretPrevious = current, previous }
		}
		old := start(t, opts, secrets(testSecret, next))
		access, refresh := old.login()
		both := start(t, opts, secrets(next, testSecret))
		fresh, freshRefresh := both.login()
		for _, s := range []*instance{old, both} {
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", fresh, nil))
		}
		refresh = both.expect(http.StatusOK, both.refresh(refresh)).field(t, "refresh_token")
		freshRefresh = old.expect(http.StatusOK, old.refresh(freshRefresh)).field(t, "refresh_token")
		freshRefresh = both.expect(http.StatusOK, both.refresh(freshRefresh)).field(t, "refresh_token")

		alone := start(t, opts, secrets(next, ""))
		alone.expect(http.StatusOK, alone.call("GET", "/api/v1/users/me", access, nil))
		alone.login()
		alone.expect(http.StatusOK, alone.refresh(refresh))
		alone.expect(http.StatusOK, alone.refresh(freshRefresh))
	})
}

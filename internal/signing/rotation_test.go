package signing_test

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
	"tenantry/internal/apitest"
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

// published returns the key set and its max-age.
func published(s *apitest.Instance) (set jose.JSONWebKeySet, age time.Duration) {
	s.Helper()
	a := s.Expect(http.StatusOK, s.Call("GET", "/.well-known/jwks.json", "", nil))
	if err := json.Unmarshal(a.Body, &set); err != nil {
		s.Fatal(err)
	}
	seconds := regexp.MustCompile(`max-age=(\d+)`).FindStringSubmatch(a.Header.Get("Cache-Control"))
	if seconds == nil {
		s.Fatalf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	age, err := time.ParseDuration(seconds[1] + "s")
	if err != nil {
		s.Fatal(err)
	}
	return set, age
}

// verifier is another service: it caches the key set for its max-age, and fetches no unknown key
// before.
type verifier struct {
	s     *apitest.Instance
	set   jose.JSONWebKeySet
	until time.Time
}

func (v *verifier) verify(access string) bool {
	if now := time.Now(); now.After(v.until) {
		set, age := published(v.s)
		v.set, v.until = set, now.Add(age)
	}
	token, err := jwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	keys := v.set.Key(token.Headers[0].KeyID)
	return len(keys) == 1 && token.Claims(keys[0], &map[string]any{}) == nil
}

// While keys rotate every two seconds, each instance and a service with a cached key set accept the
// old and new tokens of the other instance.
func TestKeys_rotationRefusesNoToken(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		rotating := func(c *config.Config) { c.KeyRotation = 2 * time.Second }
		instances := []*apitest.Instance{apitest.Start(t, opts, rotating), apitest.Start(t, opts, rotating)}
		first, _ := instances[0].Login()
		var (
			wait   sync.WaitGroup
			mu     sync.Mutex
			signed = map[string]bool{}
		)
		end := time.Now().Add(7 * time.Second)
		for i, s := range instances {
			other := instances[1-i]
			_, refresh := s.Login()
			service := &verifier{s: other}
			wait.Go(func() {
				for time.Now().Before(end) && !t.Failed() {
					a := s.Refresh(refresh)
					if a.Status != http.StatusOK {
						t.Errorf("refresh: %d %s", a.Status, a.Body)
						return
					}
					access := a.Field(t, "access_token")
					refresh = a.Field(t, "refresh_token")
					if !service.verify(access) {
						t.Errorf("a service with a cached key set refuses a token of key %s", kid(t, access))
					}
					for _, token := range []string{access, first} {
						if a := other.Call("GET", "/api/v1/users/me", token, nil); a.Status != http.StatusOK {
							t.Errorf("users/me: %d %s", a.Status, a.Body)
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
		for _, k := range instances[0].DB.Client.SigningKey.Query().AllX(principal.System(t.Context(), "test")) {
			states[k.State]++
		}
		if states[signingkey.StateActive] != 1 || states[signingkey.StatePending] > 1 {
			t.Errorf("%v", states)
		}
	})
}

func TestKey_isPublishedBeforeItSigns(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		command := apitest.Command(t, opts)
		access, _ := s.Login()
		out, err := command("", "keys", "rotate")
		if err != nil {
			t.Fatal(err)
		}
		next, at, _ := strings.Cut(strings.TrimSpace(out), " signs from ")
		begins, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		_, age := published(s)
		if age != 5*time.Minute || time.Until(begins) < age-time.Second {
			t.Errorf("the max-age is %s, and the key signs in %s", age, time.Until(begins))
		}
		apitest.Eventually(t, "the next key is published", func() bool {
			set, _ := published(s)
			return len(set.Key(next)) == 1
		})
		if again, _ := s.Login(); kid(t, again) != kid(t, access) {
			t.Error("it signs before its time")
		}
		// A second call returns the same pending key.
		if out, err := command("", "keys", "rotate"); err != nil || !strings.HasPrefix(out, next) {
			t.Errorf("%v, %s", err, out)
		}
		if _, err := command("", "keys", "rotate", "--now"); err != nil {
			t.Fatal(err)
		}
		apitest.Eventually(t, "the next key signs", func() bool { token, _ := s.Login(); return kid(t, token) == next })
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	})
}

func TestKey_revokedRefusesItsTokensWithinASecond(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		instances := []*apitest.Instance{apitest.Start(t, opts), apitest.Start(t, opts)}
		access, refresh := instances[0].Login()
		command := apitest.Command(t, opts)
		if _, err := command("", "keys", "revoke", "unknown"); err == nil {
			t.Error("a key that does not exist was revoked")
		}
		if _, err := command("", "keys", "revoke", kid(t, access)); err != nil {
			t.Fatal(err)
		}
		for _, s := range instances {
			apitest.Eventually(t, "its tokens are refused", func() bool {
				return s.Call("GET", "/api/v1/users/me", access, nil).Status == http.StatusUnauthorized
			})
		}
		// The session goes on under another key.
		next := instances[1].Expect(http.StatusOK, instances[1].Refresh(refresh)).Field(t, "access_token")
		if kid(t, next) == kid(t, access) {
			t.Error("the revoked key signs")
		}
		instances[0].Expect(http.StatusOK, instances[0].Call("GET", "/api/v1/users/me", next, nil))
		if out, err := command("", "keys", "list"); err != nil || strings.Contains(out, kid(t, access)) ||
			!strings.Contains(out, "active") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func TestKey_retiredIsNotPublished(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		command := apitest.Command(t, opts)
		if _, err := command("", "keys", "rotate", "--now"); err != nil {
			t.Fatal(err)
		}
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
		s.DB.Client.SigningKey.Update().Where(signingkey.StateEQ(signingkey.StateRetiring)).
			SetRetireAt(time.Now().Add(-time.Second)).
			ExecX(principal.System(t.Context(), "test"))
		apitest.Eventually(t, "its tokens are refused", func() bool {
			return s.Call("GET", "/api/v1/users/me", access, nil).Status == http.StatusUnauthorized
		})
		if set, _ := published(s); len(set.Key(kid(t, access))) != 0 {
			t.Error("it is still published")
		}
	})
}

// A changed algorithm creates another key, which is published before it signs like every key.
func TestKey_changedAlgorithmCreatesTheNextKey(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	before := s.DB.Client.SigningKey.Query().OnlyX(principal.System(t.Context(), "test"))
	opts := signing.Options{
		Keyring: keyring.New([]byte(apitest.Secret), nil), Algorithm: "EdDSA", Rotation: time.Hour,
		Clock: func() time.Time {
			return time.Now().UTC()
		},
	}
	changed, err := signing.Open(t.Context(), s.DB.Client, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := changed.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := s.DB.Client.SigningKey.Query().Where(signingkey.StateEQ(signingkey.StatePending)).
		OnlyX(principal.System(t.Context(), "test"))
	if next.Alg != signingkey.AlgEdDSA || before.Alg != signingkey.AlgES256 ||
		time.Until(next.NotBefore) < changed.MaxAge() {
		t.Errorf("%v after %v", next, before)
	}
}

// The secret is changed on one instance after the other: first each accepts the new one, then each
// uses it, then the old one is removed.
func TestSecret_rotationRefusesNoToken(t *testing.T) {
	t.Parallel()
	const next = "the next secret for tests, long enough too"
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		secrets := func(current, previous string) func(*config.Config) {
			return func(c *config.Config) { c.Secret, c.SecretPrevious = current, previous }
		}
		old := apitest.Start(t, opts, secrets(apitest.Secret, next))
		access, refresh := old.Login()
		both := apitest.Start(t, opts, secrets(next, apitest.Secret))
		fresh, freshRefresh := both.Login()
		for _, s := range []*apitest.Instance{old, both} {
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", fresh, nil))
		}
		refresh = both.Expect(http.StatusOK, both.Refresh(refresh)).Field(t, "refresh_token")
		freshRefresh = old.Expect(http.StatusOK, old.Refresh(freshRefresh)).Field(t, "refresh_token")
		freshRefresh = both.Expect(http.StatusOK, both.Refresh(freshRefresh)).Field(t, "refresh_token")

		alone := apitest.Start(t, opts, secrets(next, ""))
		alone.Expect(http.StatusOK, alone.Call("GET", "/api/v1/users/me", access, nil))
		alone.Login()
		alone.Expect(http.StatusOK, alone.Refresh(refresh))
		alone.Expect(http.StatusOK, alone.Refresh(freshRefresh))
	})
}

package faults_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// service is a service verifier the server: it keeps the key set for as long as it may, and knows
// no other key.
type service struct {
	process *process
	set     jose.JSONWebKeySet
	until   time.Time
}

var maxAge = regexp.MustCompile(`max-age=(\d+)`)

func (s *service) accepts(t *testing.T, access string) bool {
	t.Helper()
	if now := time.Now(); now.After(s.until) {
		response, err := http.Get(s.process.url + "/.well-known/jwks.json")
		if err != nil {
			t.Error(err)
			return false
		}
		defer response.Body.Close()
		kept, err := time.ParseDuration(maxAge.FindStringSubmatch(response.Header.Get("Cache-Control") +
			" max-age=0")[1] + "s")
		if err == nil {
			s.set = jose.JSONWebKeySet{}
			err = json.NewDecoder(response.Body).Decode(&s.set)
		}
		if err != nil {
			t.Error(err)
			return false
		}
		s.until = now.Add(kept)
	}
	token, id := parse(t, access)
	found := s.set.Key(id)
	return len(found) == 1 && token.Claims(found[0], &map[string]any{}) == nil
}

func parse(t *testing.T, access string) (*jwt.JSONWebToken, string) {
	t.Helper()
	token, err := jwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Error(err)
		return nil, "" // of no key
	}
	return token, token.Headers[0].KeyID
}

// The keys rotate every two seconds while both processes sign. Neither the other process nor a
// service that caches the key set refuses a token. Tokens of a revoked key are refused.
func TestKeyRotation_underLoadRefusesNoToken(t *testing.T) {
	opts := dbtest.Postgres(t)
	processes := []*process{serve(t, opts, "TENANTRY_KEY_ROTATION=2s"), serve(t, opts, "TENANTRY_KEY_ROTATION=2s")}
	var (
		load   sync.WaitGroup
		mu     sync.Mutex
		signed = map[string]int{}
	)
	end := time.Now().Add(size(6*time.Second, time.Minute))
	for i := range 4 {
		c, other := signedIn(t, processes[i%2]), newClient(processes[1-i%2])
		verifier := &service{process: processes[1-i%2]}
		first := c.Access
		load.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				if a, err := c.refresh(t.Context()); err != nil || a.status != http.StatusOK {
					t.Errorf("refresh: %d %s, %v", a.status, a.Code, err)
					return
				}
				_, id := parse(t, c.Access)
				if !verifier.accepts(t, c.Access) {
					t.Errorf("a service refuses a token of key %s", id)
				}
				for _, token := range []string{c.Access, first} {
					other.Access = token
					if a, err := other.me(t.Context()); err != nil || a.status != http.StatusOK {
						t.Errorf("users/me: %d %s, %v", a.status, a.Code, err)
					}
				}
				mu.Lock()
				signed[id]++
				mu.Unlock()
			}
		})
	}
	load.Wait()
	requests := 0
	for _, n := range signed {
		requests += n
	}
	t.Logf("%d keys have signed %d tokens", len(signed), requests)
	if len(signed) < size(3, 20) {
		t.Errorf("only %d keys have signed", len(signed))
	}
	revokeKeyOf(t, opts, processes)
}

// revokeKeyOf revokes the key of a new token. Each process refuses the token within a second.
func revokeKeyOf(t *testing.T, opts database.Options, processes []*process) {
	t.Helper()
	c := signedIn(t, processes[0])
	_, id := parse(t, c.Access)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	revoke := exec.Command(path, "keys", "revoke", id)
	revoke.Env = settings(opts)
	if out, err := revoke.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	deadline := time.Now().Add(time.Second)
	for _, p := range processes {
		holder := newClient(p)
		holder.Access = c.Access
		for accepted := true; accepted; {
			a, err := holder.me(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if accepted = a.status != http.StatusUnauthorized; accepted && time.Now().After(deadline) {
				t.Fatalf("a token of a revoked key is accepted after a second: %d", a.status)
			}
		}
	}
}

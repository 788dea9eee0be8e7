package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ent/migrate"
	"tenantry/ent/schema/settings"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// publicRequest is a request of an operation that takes no bearer token. It is limited if it writes
// rows for a client that presents no other credential either.
type publicRequest struct {
	path    string
	body    func(i int) any
	limited bool
}

func noBody(int) any { return nil }

var publicRequests = map[string]publicRequest{
	"Register": {"/api/v1/auth/register", func(i int) any {
		return credentials(fmt.Sprintf("new%d@acme.test", i), ownerPassword)
	}, true},
	"SignUp": {"/api/v1/signup", func(i int) any {
		return map[string]any{"tenant": map[string]any{"slug": fmt.Sprintf("new%d", i), "name": "New"}, "email": "new@new.test", "password": ownerPassword}
	}, true},
	"AuthorizeOAuth":    {authorizePath, noBody, true},
	"Login":             {"/api/v1/auth/login", func(int) any { return credentials(ownerEmail, "a wrong password") }, false},
	"Refresh":           {"/api/v1/auth/refresh", func(int) any { return map[string]string{"refresh_token": "no token"} }, false},
	"Logout":            {"/api/v1/auth/logout", func(int) any { return map[string]string{"refresh_token": "no token"} }, false},
	"ListOAuthOffers":   {"/api/v1/auth/oauth/providers", noBody, false},
	"CallBackOAuth":     {"/api/v1/auth/oauth/corporate/callback?state=none&code=none", noBody, false},
	"PostOAuthCallback": {"/api/v1/auth/oauth/corporate/callback", func(int) any { return "state=none&code=none" }, false},
	"ExchangeOAuthCode": {"/api/v1/auth/oauth/exchange", func(int) any { return map[string]string{"code": "none"} }, false},
	"GetJWKS":           {"/.well-known/jwks.json", noBody, false},
	"GetHealth":         {"/healthz", noBody, false},
	"GetReadiness":      {"/readyz", noBody, false},
}

// anonymous sends a request of a client network without a credential, and follows no redirect.
func (s *instance) anonymous(method, path, ip string, body any) answer {
	s.Helper()
	content, media := []byte(nil), "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		content, media = []byte(b), "application/x-www-form-urlencoded"
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			s.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, bytes.NewReader(content))
	if err != nil {
		s.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", media)
	}
	r.Header.Set("X-Forwarded-For", ip)
	return s.send(r)
}

// written returns how many rows the database has, but for counters and the change log.
func (s *instance) written() (n int64) {
	for _, table := range migrate.Tables {
		if table.Name != "throttles" && table.Name != "changes" {
			n += s.rows(table.Name)
		}
	}
	return n
}

// Every operation without a bearer token is limited for a client network, or writes no row without
// another credential. An operation that is added to the contract needs an entry.
func TestOperations_thatWriteWithoutACredentialAreLimited(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		const limit, attempts = 4, 8
		i := newIssuer(t)
		s := startAt(t, opts, still(), behindProxy, i.offer("corporate"), func(c *config.Config) {
			c.Signup, c.NetworkFlows, c.NetworkRegistrations = config.SignupOpen, limit, limit
		})
		s.set("acme", func(t *settings.Tenant) { welcoming(t); t.Registration = settings.RegistrationOpen })
		for at, o := range declaredOperations(t) {
			if o.Security == nil || len(*o.Security) > 0 {
				continue
			}
			r, ok := publicRequests[o.OperationID]
			if !ok {
				t.Errorf("%s needs no bearer token, and this test does not know it", o.OperationID)
				continue
			}
			before, refused := s.written(), 0
			for n := range attempts {
				a := s.anonymous(o.method, r.path, fmt.Sprintf("198.51.100.%d", at), r.body(n))
				if a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") != "" && a.field(t, "code") == "too_many_attempts" {
					refused++
				}
			}
			switch after := s.written(); {
			case r.limited && refused != attempts-limit/2:
				t.Errorf("%s: %d of %d requests were refused", o.OperationID, refused, attempts)
			case r.limited && after == before:
				t.Errorf("%s: the requests that were not refused have written nothing", o.OperationID)
			case !r.limited && (after != before || refused != 0):
				t.Errorf("%s has written %d rows", o.OperationID, after-before)
			}
		}
	})
}

// The limits hold for an IPv4 address or an IPv6 /64, over all instances, and for each tenant in it.
// A client that obeys Retry-After is served then.
func TestNetworkLimit_isSharedByTenantsAndInstances(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		began, ahead := still()(), atomic.Int64{}
		clock := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
		limits := func(c *config.Config) { c.NetworkRegistrations = 6 }
		instances := []*instance{startAt(t, opts, clock, behindProxy, limits), startAt(t, opts, clock, behindProxy, limits)}
		register := func(ip, tenant string, i int) answer {
			return instances[i%2].anonymous("POST", "/api/v1/auth/register", ip, map[string]string{
				"tenant": tenant, "email": "new@acme.test", "password": ownerPassword,
			})
		}
		expect := func(want int, a answer) answer { t.Helper(); return instances[0].expect(want, a) }
		for i := range 3 { // refused for another reason, which counts as well
			expect(http.StatusForbidden, register(fmt.Sprintf("2001:db8::%d", i), "closed", i))
		}
		a := expect(http.StatusTooManyRequests, register("2001:db8::ffff", "closed", 0))
		for i := range 3 {
			expect(http.StatusForbidden, register("2001:db8::1", fmt.Sprintf("other%d", i), i))
		}
		expect(http.StatusTooManyRequests, register("2001:db8::1", "another", 1))
		expect(http.StatusForbidden, register("2001:db8:0:1::1", "closed", 0))
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || seconds != 20*60 {
			t.Errorf("Retry-After is %q, want 20 minutes", a.header.Get("Retry-After"))
		}
		ahead.Store(int64(time.Duration(seconds) * time.Second))
		expect(http.StatusForbidden, register("2001:db8::1", "closed", 1))
		expect(http.StatusTooManyRequests, register("2001:db8::1", "closed", 0))
		ahead.Add(int64(2 * time.Hour))
		if err := instances[0].server.Limiter.DeleteExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := instances[0].rows("throttles"); n != 0 {
			t.Errorf("%d rows are left of limits that are full again", n)
		}
	})
}

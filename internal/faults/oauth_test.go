package faults_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"tenantry/internal/database/dbtest"
)

// Fifty concurrent callbacks of one sign-in, at two processes, start one session (O-01).
func TestCallback_concurrentOnTwoProcessesStartsOneSession(t *testing.T) {
	opts := dbtest.Postgres(t)
	db := dbtest.Open(t, opts)
	provider, exchanges := oauth2Provider(t)
	env := []string{
		"TENANTRY_OUTBOUND_NETWORKS=127.0.0.0/8", "TENANTRY_OAUTH_LOCAL_KIND=oauth2",
		"TENANTRY_OAUTH_LOCAL_CLIENT_ID=tenantry",
		"TENANTRY_OAUTH_LOCAL_AUTHORIZATION_ENDPOINT=" + provider.URL + "/authorize",
		"TENANTRY_OAUTH_LOCAL_TOKEN_ENDPOINT=" + provider.URL + "/token",
		"TENANTRY_OAUTH_LOCAL_USERINFO_ENDPOINT=" + provider.URL + "/userinfo",
	}
	instances := []*process{serve(t, opts, env...), serve(t, opts, env...)}
	openRegistration(t, instances[0])
	web := &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 256},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(web.CloseIdleConnections)
	sessions := func() int64 {
		n, err := db.CountRows(t.Context(), "refresh_tokens")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// All fifty are from one browser, and get the same response.
	for round := range size(20, 200) {
		begun := visit(t, web, instances[round%2].url+"/api/v1/auth/oauth/local/authorize")
		to, err := url.Parse(begun.Header.Get("Location"))
		if err != nil || begun.StatusCode != http.StatusSeeOther || len(begun.Cookies()) != 1 {
			t.Fatalf("round %d: %d", round, begun.StatusCode)
		}
		before, exchanged := sessions(), exchanges.Load()
		answer := url.Values{"state": {to.Query().Get("state")}, "code": {"code"}}.Encode()
		var signedIn, refused atomic.Int64
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				callback := instances[n%2].url + "/api/v1/auth/oauth/local/callback?" + answer
				response := visit(t, web, callback, begun.Cookies()[0]) //nolint:bodyclose // visit closes it
				switch response.StatusCode {
				case http.StatusOK:
					signedIn.Add(1)
				case http.StatusBadRequest:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		if signedIn.Load() != 50 || refused.Load() != 0 || sessions() != before+1 || exchanges.Load() != exchanged+1 {
			t.Fatalf("round %d: %d signed in, %d refused, %d sessions, %d codes exchanged", round, signedIn.Load(),
				refused.Load(), sessions()-before, exchanges.Load()-exchanged)
		}
	}
}

// oauth2Provider starts a provider and counts its token requests.
func oauth2Provider(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	exchanges := &atomic.Int64{}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			exchanges.Add(1)
			fmt.Fprint(w, `{"access_token":"access","token_type":"Bearer"}`)
			return
		}
		fmt.Fprint(w, `{"id":4711,"email":"ada@acme.test"}`)
	}))
	t.Cleanup(provider.Close)
	return provider, exchanges
}

func visit(t *testing.T, web *http.Client, address string, cookies ...*http.Cookie) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	response, err := web.Do(r)
	if err != nil {
		t.Error(err)
		return &http.Response{}
	}
	_ = response.Body.Close()
	return response
}

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

// A callback that arrives fifty times at once, at two processes, signs in once (O-01).
func TestCallbacks_at_once_over_two_processes_begin_one_session(t *testing.T) {
	opts := dbtest.Postgres(t)
	db := dbtest.Open(t, opts)
	var exchanges atomic.Int64
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
	visit := func(address string, cookies ...*http.Cookie) *http.Response {
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
	sessions := func() int64 {
		n, err := db.CountRows(t.Context(), "refresh_tokens")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// All fifty are of one browser, and get the same answer.
	for round := range size(20, 200) {
		begun := visit(instances[round%2].url + "/api/v1/auth/oauth/local/authorize")
		to, err := url.Parse(begun.Header.Get("Location"))
		if err != nil || begun.StatusCode != http.StatusSeeOther || len(begun.Cookies()) != 1 {
			t.Fatalf("round %d: %d", round, begun.StatusCode)
		}
		before, asked := sessions(), exchanges.Load()
		answer := url.Values{"state": {to.Query().Get("state")}, "code": {"code"}}.Encode()
		var signedIn, refused atomic.Int64
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				switch response := visit(instances[n%2].url+"/api/v1/auth/oauth/local/callback?"+answer,
					begun.Cookies()[0]); response.StatusCode { //nolint:bodyclose // visit does
				case http.StatusOK:
					signedIn.Add(1)
				case http.StatusBadRequest:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		if signedIn.Load() != 50 || refused.Load() != 0 || sessions() != before+1 || exchanges.Load() != asked+1 {
			t.Fatalf("round %d: %d signed in, %d refused, %d sessions, %d codes exchanged", round, signedIn.Load(),
				refused.Load(), sessions()-before, exchanges.Load()-asked)
		}
	}
}

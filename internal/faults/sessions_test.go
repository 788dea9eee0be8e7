package faults_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// onlySession returns the row of the one session that there is.
func onlySession(t testing.TB, db *database.DB) *ent.RefreshToken {
	t.Helper()
	row, err := db.Client.RefreshToken.Query().Only(principal.System(t.Context(), "test"))
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestRefresh_onTwoProcessesHasOneSuccessor(t *testing.T) {
	opts := dbtest.Postgres(t)
	db := dbtest.Open(t, opts)
	first, second := serve(t, opts), serve(t, opts)
	one := signedIn(t, first)
	other := newClient(second)
	for range size(2, 20) {
		var (
			wait    sync.WaitGroup
			answers = make(chan tokens, 200)
		)
		for i := range cap(answers) {
			c := []*client{one, other}[i%2]
			token := one.Refresh
			wait.Go(func() {
				a, err := c.present(t.Context(), token)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("status %d %s, %v", a.status, a.Code, err)
				}
				answers <- a.tokens
			})
		}
		wait.Wait()
		close(answers)
		successors := map[string]int{}
		for a := range answers {
			successors[a.Refresh]++
			one.tokens = a
		}
		if len(successors) != 1 {
			t.Fatalf("%d successors: %v", len(successors), successors)
		}
		onlySession(t, db)
	}
}

// A client may be killed after its request is sent, or before it has stored the response of a
// rotated session. After a restart it has the previous token.
func TestRefresh_killedClientContinues(t *testing.T) {
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		db := dbtest.Open(t, opts)
		p := serve(t, opts)
		c := signedIn(t, p)
		for i := range size(10, 200) {
			before := onlySession(t, db).Counter
			killed := sendRefresh(t, p, c.Refresh)
			if i%2 == 0 {
				within(t, 5*time.Second, "the session moves on", func() bool {
					return onlySession(t, db).Counter > before
				})
			}
			killed.Close()
			expect(t, http.StatusOK)(c.refresh(t.Context()))
			expect(t, http.StatusOK)(c.me(t.Context()))
		}
	})
}

// sendRefresh sends a request and leaves its answer on the connection.
func sendRefresh(t testing.TB, p *process, token string) net.Conn {
	t.Helper()
	address := strings.TrimPrefix(p.url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"refresh_token": token})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: "+
		"application/json\r\nContent-Length: %d\r\n\r\n%s",
		refreshPath, address, len(body), body); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestRefresh_afterReuseWindowRevokesSession(t *testing.T) {
	opts := dbtest.Postgres(t)
	const grace = time.Second
	start := func() *process { return serve(t, opts, "TENANTRY_REFRESH_GRACE="+grace.String()) }
	first, second := start(), start()
	c := signedIn(t, first)
	stolen := c.tokens
	expect(t, http.StatusOK)(c.refresh(t.Context()))
	live := c.tokens
	time.Sleep(grace + time.Second) // the processes go by the clock of the machine
	c.url = second.url
	expect(t, http.StatusUnauthorized)(c.present(t.Context(), stolen.Refresh))

	within(t, time.Second, "the session is revoked on both processes", func() bool {
		return refused(t, first, stolen, live) && refused(t, second, stolen, live)
	})
	first.stop(t)
	second.stop(t)
	first, second = start(), start()
	if !refused(t, first, stolen, live) || !refused(t, second, stolen, live) {
		t.Error("the session has come back to life with a restart")
	}
}

// refused reports whether a process refuses all of the tokens.
func refused(t testing.TB, p *process, issued ...tokens) bool {
	t.Helper()
	c := newClient(p)
	defer c.web.CloseIdleConnections()
	for _, c.tokens = range issued {
		a, err := c.me(t.Context())
		b, err2 := c.present(t.Context(), c.Refresh)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if a.status != http.StatusUnauthorized || b.status != http.StatusUnauthorized {
			return false
		}
	}
	return true
}

func TestSignOut_concurrentRefreshEndsSession(t *testing.T) {
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		p := serve(t, opts)
		refreshed := 0
		for range size(10, 200) {
			c := signedIn(t, p)
			before := c.tokens
			var (
				wait sync.WaitGroup
				a    answer
				err  error
			)
			wait.Go(func() { a, err = c.present(t.Context(), before.Refresh) })
			wait.Go(func() {
				if a, err := c.signOut(t.Context(), before.Refresh); err != nil || a.status != http.StatusNoContent {
					t.Errorf("sign-out: status %d %s, %v", a.status, a.Code, err)
				}
			})
			wait.Wait()
			if err != nil || (a.status != http.StatusOK && a.status != http.StatusUnauthorized) {
				t.Fatalf("refresh: status %d %s, %v", a.status, a.Code, err)
			}
			issued := []tokens{before}
			if a.status == http.StatusOK {
				refreshed++
				issued = append(issued, a.tokens)
			}
			if !refused(t, p, issued...) {
				t.Fatalf("the session is active; the refresh concurrent with the sign-out had status %d", a.status)
			}
		}
		t.Logf("%d refreshes were before the sign-out", refreshed)
	})
}

func TestRefresh_repeatedKeepsOneRow(t *testing.T) {
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		db := dbtest.Open(t, opts)
		c := signedIn(t, serve(t, opts))
		times := size(300, 10_000)
		for range times {
			expect(t, http.StatusOK)(c.refresh(t.Context()))
		}
		if row := onlySession(t, db); row.Counter != int64(times) {
			t.Errorf("the row counts %d refreshes of %d", row.Counter, times)
		}
	})
}

package faults_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestSIGTERM_underLoadLosesNoRequest(t *testing.T) {
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		p := serve(t, opts)
		clients := make([]*client, 8)
		for i := range clients {
			clients[i] = signedIn(t, p)
		}
		counts := &tally{}
		sent := -len(clients) // p.answers counts the sign-ins too
		for range size(2, 20) {
			var wait sync.WaitGroup
			before := counts.count(all)
			for i, c := range clients {
				c.url = p.url
				// Some ask without a pause, others are often idle when the server stops.
				wait.Go(func() { askUntilRefused(t, c, counts, time.Duration(i%4)*time.Millisecond) })
			}
			within(t, 30*time.Second, "the clients are at work", func() bool { return counts.count(all) > before+400 })
			p.signal(t, syscall.SIGTERM)
			if code := p.wait(t, 40*time.Second); code != 0 {
				t.Errorf("exit code %d:\n%s", code, p.logged())
			}
			wait.Wait()
			sent += p.answers()
			p = serve(t, opts)
		}
		if received := counts.count(answered); received != sent {
			t.Errorf("%d answers were received of %d", received, sent)
		}
		t.Log(counts)
	})
}

// askUntilRefused alternately reads and refreshes until the server refuses connections.
func askUntilRefused(t *testing.T, c *client, counts *tally, pause time.Duration) {
	var reused bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { reused = false },
		GotConn: func(conn httptrace.GotConnInfo) { reused = conn.Reused },
	})
	steps := []struct {
		name string
		ask  func(context.Context) (answer, error)
	}{{"me", c.me}, {"refresh", c.refresh}}
	for i := 0; ; i++ {
		step := steps[i%len(steps)]
		a, err := step.ask(ctx)
		if err != nil && !reused {
			return // a new connection failed: the listener is closed
		}
		counts.note(step.name, a, err)
		if err != nil || a.status != http.StatusOK {
			t.Errorf("%s: status %d %s, %v", step.name, a.status, a.Code, err)
		}
		if err != nil {
			return
		}
		time.Sleep(pause)
	}
}

func TestSignal_secondEndsProcessAtOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p := serve(t, dbtest.EmptySQLite(t))
			hang(t, p)
			p.signal(t, sig)
			c := newClient(p)
			within(t, 5*time.Second, "/readyz returns 503", func() bool {
				a, err := c.call(t.Context(), http.MethodGet, "/readyz", nil)
				return err == nil && a.status == http.StatusServiceUnavailable
			})
			p.signal(t, sig)
			if code := p.wait(t, 3*time.Second); code == 0 {
				t.Error("exit code 0, want another")
			}
		})
	}
}

// hang sends the first half of a request, so that the server has an unfinished one.
func hang(t testing.TB, p *process) {
	t.Helper()
	body, feed := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+logoutPath, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
			t.Error("the unfinished request was answered")
		}
	}()
	t.Cleanup(func() {
		feed.Close()
		<-ended
	})
	if _, err := feed.Write([]byte(`{"refresh_token":`)); err != nil {
		t.Fatal(err)
	}
}

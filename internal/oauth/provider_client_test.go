package oauth

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ent/oauthprovider"
)

// called returns a provider on this machine, and a client that may call it.
func called(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	providerClients, err := newProviderClients([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(providerClients.base.CloseIdleConnections)
	return server, providerClients.of("provider").client()
}

// fetch returns the length of the answer and its status.
func fetch(t *testing.T, client *http.Client, url string) (length, status int, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return len(body), response.StatusCode, err
}

// O-15: an answer beyond the limit is refused, however it is sent, at a bounded cost of memory. It
// does not run beside other tests, whose memory would count.
func TestProviderClient_answerBeyondTheLimitIsRefused(t *testing.T) {
	const large = 100 << 20
	part := bytes.Repeat([]byte("a"), 64<<10)
	send := func(w io.Writer, n int) {
		for sent := 0; sent < n; {
			written, err := w.Write(part[:min(len(part), n-sent)])
			if err != nil {
				return
			}
			sent += written
		}
	}
	var packed bytes.Buffer
	packer := gzip.NewWriter(&packed)
	send(packer, large)
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   int // -1 if it is refused
	}{
		"at the limit":     {func(w http.ResponseWriter, _ *http.Request) { send(w, maxAnswer) }, maxAnswer},
		"one byte more":    {func(w http.ResponseWriter, _ *http.Request) { send(w, maxAnswer+1) }, -1},
		"without end":      {func(w http.ResponseWriter, _ *http.Request) { send(w, 1<<40) }, -1},
		"100 MiB, chunked": {func(w http.ResponseWriter, _ *http.Request) { send(w, large) }, -1},
		"100 MiB, announced": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(large))
			send(w, large)
		}, -1},
		"100 MiB, packed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}, -1},
		"headers of 1 MiB": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 16 {
				w.Header().Set("X-"+strconv.Itoa(i), string(part))
			}
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := called(t, test.answer)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, _, err := fetch(t, client, server.URL)
			runtime.ReadMemStats(&after)
			if refused := err != nil; refused != (test.want < 0) || !refused && n != test.want {
				t.Errorf("%d bytes, %v", n, err)
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 8<<20 {
				t.Errorf("%d KiB were allocated", cost>>10)
			}
		})
	}
}

// O-15: no redirect is followed, and nothing beyond the networks that are allowed is called.
func TestProviderClient_redirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inside.Close)
	server, client := called(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, inside.URL, http.StatusFound)
	})
	if _, status, err := fetch(t, client, server.URL); err != nil || status != http.StatusFound {
		t.Errorf("%d, %v", status, err)
	}
	strict, err := newProviderClients(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(t, strict.of("provider").client(), inside.URL); err == nil {
		t.Error("this machine is called, which is not allowed")
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("reached %d times", n)
	}
}

// O-15: after failuresToRest failures a provider is not called for a while, and another one is. It
// is called again after that.
func TestProviderClient_breakerRestsAndRecovers(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	var calls atomic.Int64
	broken.Store(true)
	server, client := called(t, func(http.ResponseWriter, *http.Request) {
		if calls.Add(1); broken.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	for range failuresToRest {
		if _, _, err := fetch(t, client, server.URL); err == nil {
			t.Fatal("a connection that is cut is an answer")
		}
	}
	began, before := time.Now(), calls.Load()
	broken.Store(false)
	if _, _, err := fetch(t, client, server.URL); err == nil || calls.Load() != before {
		t.Errorf("called again at once: %v", err)
	}
	for ticks := time.Tick(100 * time.Millisecond); ; <-ticks {
		if _, _, err := fetch(t, client, server.URL); err == nil {
			break
		}
		if time.Since(began) > 2*rest {
			t.Fatal("not called again")
		}
	}
	if took := time.Since(began); took < rest-100*time.Millisecond {
		t.Errorf("called again after %s", took)
	}
}

// A userinfo endpoint that fails, which a sign-in can do without, does not keep the token endpoint
// from being called.
func TestProviderClient_optionalCallsHaveABreakerOfTheirOwn(t *testing.T) {
	t.Parallel()
	server, _ := called(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/userinfo" {
			panic(http.ErrAbortHandler)
		}
	})
	providerClients, err := newProviderClients([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(providerClients.base.CloseIdleConnections)
	u := &upstream{Provider: Provider{Kind: oauthprovider.KindOidc}, providerClient: providerClients.of("provider")}
	for range 2 * failuresToRest {
		is := &identity{Subject: "s"}
		if err := u.addUserinfo(t.Context(), metadata{Endpoints: Endpoints{Userinfo: server.URL + "/userinfo"}},
			grant{AccessToken: "a"}, is); err != nil || is.unread == nil {
			t.Fatalf("%v, %v", is.unread, err)
		}
	}
	if _, status, err := fetch(t, u.providerClient.client(), server.URL+"/token"); err != nil ||
		status != http.StatusOK {
		t.Errorf("the token endpoint is not called: %d, %v", status, err)
	}
}

// O-15: a provider that stalls is given up after the patience, before and in its answer, although
// the caller has no deadline.
func TestProviderClient_stallIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, begins := range []bool{false, true} {
		t.Run(strconv.FormatBool(begins), func(t *testing.T) {
			t.Parallel()
			server, client := called(t, func(w http.ResponseWriter, r *http.Request) {
				if begins {
					_, _ = io.WriteString(w, "{")
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			})
			began := time.Now()
			if _, _, err := fetch(t, client, server.URL); err == nil {
				t.Error("answered")
			}
			if took := time.Since(began); took < patience || took > patience+time.Second {
				t.Errorf("given up after %s", took)
			}
		})
	}
}

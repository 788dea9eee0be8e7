package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

// serving runs a server on its real listener, with the owner of apitest.
func serving(t *testing.T) *apitest.Instance {
	t.Helper()
	cfg := apitest.Config(dbtest.EmptySQLite(t))
	cfg.Listen = "127.0.0.1:0"
	p := run(t, cfg)
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	return &apitest.Instance{TB: t, URL: p.url, Logs: p.log, Routes: apitest.ContractRoutes(t)}
}

func dial(s *apitest.Instance) net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	return conn
}

const loginHead = "POST /api/v1/auth/login HTTP/1.1\r\nHost: id.acme.test\r\nContent-Type: application/json\r\n"

// slowClients begin a request and send a further byte each second.
var slowClients = []struct {
	name, begin string
	// within is how long the server may keep the connection.
	within time.Duration
}{
	{"nothing", "", 5 * time.Second},
	{"header", "GET /api/v1/users/me HTTP/1.1\r\nHost: id.acme.test\r\nX-Slow: ", 5 * time.Second},
	{"body", loginHead + "Content-Length: 60000\r\n\r\n{", 15 * time.Second},
	{"chunks", loginHead + "Transfer-Encoding: chunked\r\n\r\nffff\r\n{", 15 * time.Second},
}

func TestSlowClients_areDroppedWithoutDelayingOthers(t *testing.T) {
	number := 200
	if *apitest.Long {
		number = 2_000 // alone, so that the memory is theirs
	} else {
		t.Parallel()
	}
	s := serving(t)
	access, _ := s.Login()
	before := memory()
	var slow sync.WaitGroup
	for i := range number {
		client, conn := slowClients[i%len(slowClients)], dial(s)
		slow.Go(func() {
			if kept := drip(conn, client.begin); kept > client.within+5*time.Second {
				t.Errorf("%s: kept for %s", client.name, kept)
			}
		})
	}
	dropped := make(chan struct{})
	go func() { slow.Wait(); close(dropped) }()
	peak, requests := uint64(0), 0
	for done := false; !done; requests++ {
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
		select {
		case <-dropped:
			done = true
		case <-time.After(20 * time.Millisecond):
		}
		if *apitest.Long && requests%100 == 0 {
			peak = max(peak, memory())
		}
	}
	t.Logf("%d requests were answered", requests)
	if *apitest.Long {
		t.Logf("%d KiB beside %d KiB before, for both ends of %d connections", peak>>10, before>>10, number)
		if peak > before+uint64(number)*48<<10 {
			t.Error("that is too much")
		}
	}
}

// drip sends the beginning and then a byte a second, and returns how long the other side has
// listened.
func drip(conn net.Conn, begin string) time.Duration {
	start := time.Now()
	_, err := io.WriteString(conn, begin)
	for answer := make([]byte, 64); err == nil; {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err = conn.Read(answer); errors.Is(err, os.ErrDeadlineExceeded) {
			_, err = io.WriteString(conn, begin[:min(1, len(begin))])
		}
	}
	return time.Since(start)
}

// memory is what heap and stacks take, in bytes.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// A client that never ends is answered when it has sent too much, and is not listened to any
// longer.
func TestEndlessRequest_isAborted(t *testing.T) {
	t.Parallel()
	s := serving(t)
	const chunked = "Transfer-Encoding: chunked\r\n\r\n"
	some := strings.Repeat("x", 4<<10)
	chunk := "1000\r\n" + some + "\r\n"
	for name, test := range map[string]struct{ begin, more, want string }{
		"chunks":             {loginHead + chunked, chunk, "413"},
		"announced":          {loginHead + "Content-Length: 1099511627776\r\n\r\n", some, "413"},
		"without_a_token":    {strings.Replace(loginHead, "login", "password", 1) + chunked, chunk, "413"},
		"to_who_wants_none":  {"GET /healthz HTTP/1.1\r\nHost: id.acme.test\r\n" + chunked, chunk, "200"},
		"header":             {"GET /healthz HTTP/1.1\r\nHost: id.acme.test\r\nX-Endless: ", some, "431"},
		"extension_of_chunk": {loginHead + chunked + "1;", some, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(s)
			answered := make(chan string, 1)
			go func() {
				line, _ := bufio.NewReader(conn).ReadString('\n')
				answered <- line
			}()
			sent, line, err := len(test.begin), "", error(nil)
			pause := time.NewTicker(time.Millisecond) // lets the server read as fast as the client sends
			defer pause.Stop()
			for _, err = io.WriteString(conn, test.begin); err == nil && sent < 64<<20; <-pause.C {
				_, err = io.WriteString(conn, test.more)
				select {
				case line = <-answered:
				default:
				}
				if line == "" {
					sent += len(test.more)
				}
			}
			if line == "" {
				line = <-answered
			}
			if err == nil || sent > 1<<20 || !strings.HasPrefix(line, "HTTP/1.1 "+test.want) {
				t.Errorf("%q after %d KiB, and then %v", line, sent>>10, err)
			}
		})
	}
}

func TestHeader_above16KiBIs431(t *testing.T) {
	t.Parallel()
	s := serving(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 16<<10))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !response.Close {
		t.Errorf("%d, closed: %v", response.StatusCode, response.Close)
	}
}

// Ten MiB of white space around a sign-in are ten KiB on the wire.
func TestCompressedBody_isRefused(t *testing.T) {
	t.Parallel()
	s := serving(t)
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := w.Write(bytes.Repeat([]byte(" "), 10<<20))
	if err == nil {
		_, err = fmt.Fprintf(w, `{"email":%q,"password":%q}`, apitest.OwnerEmail, apitest.OwnerPassword)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "gzip, gzip"} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/api/v1/auth/login",
			bytes.NewReader(bomb.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", coding)
		if a := s.Send(r); a.Status != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d %s", coding, a.Status, a.Body)
		}
	}
}

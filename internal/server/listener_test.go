package server

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// ASVS 15.2.2: who comes too many waits outside, and comes in when another has gone.
func TestListener_has_no_more_connections_than_places(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		})}
	go func() { _ = srv.Serve(bounded{listener, make(chan struct{}, 2)}) }()
	t.Cleanup(func() { _ = srv.Close() })
	ask := func() net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: id.acme.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	heard := func(conn net.Conn, within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		n, _ := conn.Read(make([]byte, 1))
		return n == 1
	}
	first, second := ask(), ask()
	if !heard(first, time.Minute) || !heard(second, time.Minute) {
		t.Fatal("the first two were not served")
	}
	third := ask()
	if heard(third, 100*time.Millisecond) {
		t.Error("a third was served beside two")
	}
	_ = first.Close()
	if !heard(third, time.Minute) {
		t.Error("the third was not served after the first had gone")
	}
}

package server

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// ASVS 15.2.2: connections above the limit wait until another is closed.
func TestListener_boundsOpenConnections(t *testing.T) {
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
	responds := func(conn net.Conn, within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		n, _ := conn.Read(make([]byte, 1))
		return n == 1
	}
	first, second := ask(), ask()
	if !responds(first, time.Minute) || !responds(second, time.Minute) {
		t.Fatal("the first two were not served")
	}
	third := ask()
	if responds(third, 100*time.Millisecond) {
		t.Error("a third connection was served beside two")
	}
	_ = first.Close()
	if !responds(third, time.Minute) {
		t.Error("the third connection was not served after the first was closed")
	}
}

package database

import (
	"net"
	"testing"
	"time"
)

// A connection that was idle for longer than an answer may take is as good as any other. It was
// taken for lost, and opened again.
func TestGuarded_connectionThatWasIdleIsNotLost(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			defer conn.Close()
			<-t.Context().Done()
		}
	}()
	conn, err := (&dialer{patience: 20 * time.Millisecond}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

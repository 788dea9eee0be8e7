package database

import (
	"net"
	"testing"
	"time"
)

// A connection that was idle for longer than the reply timeout must stay usable.
func TestGuarded_idleConnectionStaysUsable(t *testing.T) {
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
	conn, err := (&dialer{timeout: 20 * time.Millisecond}).DialContext(t.Context(), "tcp", listener.Addr().String())
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

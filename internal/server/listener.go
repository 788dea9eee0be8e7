package server

import (
	"net"
	"sync"
)

// maxConnections bounds the connections of clients: each uses memory before it is authenticated.
// Further connections wait in the operating system's queue.
const maxConnections = 10_000

// Bound returns the listener with its open connections bounded. Its connections refuse requests with
// ambiguous framing.
func Bound(l net.Listener) net.Listener { return bounded{l, make(chan struct{}, maxConnections)} }

// bounded is a listener that bounds the number of open connections by a semaphore. Its connections
// embed *net.TCPConn: net/http needs CloseWrite, without which a client that is still sending could
// lose the response.
type bounded struct {
	net.Listener
	permits chan struct{}
}

func (l bounded) Accept() (net.Conn, error) {
	l.permits <- struct{}{}
	release := sync.OnceFunc(func() { <-l.permits })
	conn, err := l.Listener.Accept()
	if err != nil {
		release()
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		release()
		return conn, nil
	}
	return &boundedConn{TCPConn: tcp, release: release}, nil
}

type boundedConn struct {
	*net.TCPConn
	release func()
	framing framing
}

// Read fails with errFraming if the framing of the requests is ambiguous, after the bytes before
// that.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.framing.err != nil {
		return 0, c.framing.err
	}
	n, err := c.TCPConn.Read(p)
	passed, ambiguous := c.framing.follow(p[:n])
	if ambiguous != nil && passed == 0 {
		return 0, ambiguous
	}
	return passed, err
}

func (c *boundedConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

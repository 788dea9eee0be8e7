package server

import (
	"net"
	"sync"
)

// maxConnections bounds the connections of clients: each costs memory before it has said who it is.
// Further ones wait in the operating system's queue.
const maxConnections = 10_000

// bounded is a listener that has no more connections open than it has places. It hands on TCP
// connections whole: net/http looks for CloseWrite, without which an answer to who is still sending
// could be lost.
type bounded struct {
	net.Listener
	places chan struct{}
}

func (l bounded) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	leave := sync.OnceFunc(func() { <-l.places })
	conn, err := l.Listener.Accept()
	if err != nil {
		leave()
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		leave()
		return conn, nil
	}
	return &placed{TCPConn: tcp, leave: leave}, nil
}

type placed struct {
	*net.TCPConn
	leave   func()
	framing framing
}

// Read reads what the client sends, and ends a connection whose framing is ambiguous.
func (c *placed) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err := c.framing.follow(p[:n]); err != nil {
		return 0, err
	}
	return n, err
}

func (c *placed) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

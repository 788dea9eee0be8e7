package database

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// dialer opens connections whose reads have a deadline. timeout is zero for connections without
// one.
type dialer struct {
	net.Dialer
	timeout time.Duration
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil || d.timeout == 0 {
		return conn, err
	}
	return &guarded{Conn: conn, timeout: d.timeout}, nil
}

// DialTimeout dials without a context. pq.Dialer requires it.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// guarded is a connection that keeps database/sql from running a statement twice. database/sql
// repeats a statement after driver.ErrBadConn, and lib/pq returns that for every closed connection:
// before it has sent the statement, and while it reads the reply. In the second case the server may
// have run the statement.
type guarded struct {
	net.Conn
	timeout    time.Duration
	connecting bool
}

// SetDeadline is called by lib/pq while it connects. Afterwards Write sets the deadlines.
func (c *guarded) SetDeadline(t time.Time) error {
	c.connecting = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// Write sends a message and sets the deadline for its reply. On a connection that the server has
// closed it sends nothing and fails, so that lib/pq runs the statement on another connection.
func (c *guarded) Write(b []byte) (int, error) {
	if !c.connecting {
		// First: the deadline of the last reply may have passed, and then connCheck fails.
		if err := c.Conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
			return 0, err
		}
		if c.closed() {
			return 0, errClosed
		}
	}
	return c.Conn.Write(b)
}

// Read returns io.ErrUnexpectedEOF for io.EOF: lib/pq reads only while a reply is due.
func (c *guarded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(),
			Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

var errClosed = errors.New("the server has closed the connection")

// closed reports, without blocking, whether the server has closed the connection or sent data that
// no statement has requested, such as a changed parameter. The latter costs only a new connection.
func (c *guarded) closed() bool {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	socket, err := raw.SyscallConn()
	return err != nil || !connCheck(socket)
}

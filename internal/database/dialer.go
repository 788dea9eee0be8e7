package database

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// dialer opens connections whose reads have a deadline.
type dialer struct {
	net.Dialer
	patience time.Duration
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil || d.patience == 0 {
		return conn, err
	}
	return &guarded{Conn: conn, patience: d.patience}, nil
}

// DialTimeout is the older half of pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// guarded is a connection that is honest about what may be sent again. database/sql repeats a
// statement whose connection was bad, and lib/pq calls it bad whenever the server is gone: before
// it was asked, and while it was answering. In the second case nobody can tell whether the
// statement was run.
type guarded struct {
	net.Conn
	patience   time.Duration
	connecting bool
}

// SetDeadline is what lib/pq calls while it connects. Afterwards the deadlines are those of Write.
func (c *guarded) SetDeadline(t time.Time) error {
	c.connecting = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// Write gives the message a deadline for its answer. On a connection that the server has given up
// it sends nothing, and lib/pq takes care that the statement is run on another.
func (c *guarded) Write(b []byte) (int, error) {
	if !c.connecting {
		// First, since the deadline of the last answer may have passed: then even a look at the
		// socket fails.
		if err := c.Conn.SetDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
		if c.closed() {
			return 0, errClosed
		}
	}
	return c.Conn.Write(b)
}

// Read reports an end as the failure that it is: lib/pq reads only while an answer is due.
func (c *guarded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(),
			Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

var errClosed = errors.New("the server has closed the connection")

// closed reports, without waiting, whether the server has closed the connection or sent data that
// no statement has requested, such as a changed parameter. The latter only costs a new connection.
func (c *guarded) closed() bool {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	socket, err := raw.SyscallConn()
	return err != nil || !connCheck(socket)
}

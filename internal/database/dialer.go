package database

import (
	"context"
	"net"
	"time"
)

// dialer makes connections on which no answer is waited for without end.
type dialer struct {
	net.Dialer
	patience time.Duration
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil || d.patience == 0 {
		return conn, err
	}
	return &impatient{Conn: conn, patience: d.patience}, nil
}

// DialTimeout is the older half of pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// impatient gives each message a deadline for its answer. lib/pq reads only after it has written, and sets a deadline of
// its own while it connects.
type impatient struct {
	net.Conn
	patience   time.Duration
	connecting bool
}

func (c *impatient) SetDeadline(t time.Time) error {
	c.connecting = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

func (c *impatient) Write(b []byte) (int, error) {
	if !c.connecting {
		if err := c.Conn.SetDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

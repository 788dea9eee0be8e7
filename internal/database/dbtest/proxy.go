package dbtest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"tenantry/internal/database"
)

// Proxy stands between a client and Postgres, to be cut and restored: what the client sees is a server that goes away and
// comes back.
type Proxy struct {
	t       *testing.T
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool

	// stall is held for writing while nothing passes.
	stall sync.RWMutex
}

// ThroughProxy returns the options of the same database, reached through a proxy.
func ThroughProxy(t *testing.T, opts database.Options) (*Proxy, database.Options) {
	t.Helper()
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, address: "127.0.0.1:0", target: dsn.Host, open: map[net.Conn]bool{}}
	p.Restore()
	t.Cleanup(p.Cut)
	dsn.Host = p.address
	opts.URL = dsn.String()
	return p, opts
}

// Restore accepts connections, always at the same address.
func (p *Proxy) Restore() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.address = listener, listener.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(client)
		}
	}()
}

// Cut ends every connection and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for conn := range p.open {
		conn.Close()
	}
	clear(p.open)
}

// Stall keeps every connection open and lets nothing pass, as a stopped server does, until the returned function is called.
func (p *Proxy) Stall() (resume func()) {
	p.stall.Lock()
	return p.stall.Unlock
}

// pass is a reader that waits while the proxy is stalled.
type pass struct {
	io.Reader
	stall *sync.RWMutex
}

func (r pass) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.stall.RLock()
	defer r.stall.RUnlock()
	return n, err
}

func (p *Proxy) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.open[client], p.open[server] = true, true
	p.mu.Unlock()
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, pass{server, &p.stall})
	}()
	_, _ = io.Copy(server, pass{client, &p.stall})
}

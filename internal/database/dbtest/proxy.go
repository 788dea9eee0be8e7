package dbtest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"tenantry/internal/database"
)

// Proxy is a proxy between a client and Postgres that a test can cut and restore: to the client the
// server is unreachable in between.
type Proxy struct {
	t       *testing.T
	address string
	target  string
	// only is the application_name of the connections that are cut and stalled. Empty means all.
	only string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	// cut refuses connections of that name.
	cut bool

	// stall is locked for writing while the proxy is stalled.
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

// ThroughProxyOf is ThroughProxy for connections of one application_name. The others pass
// undisturbed.
func ThroughProxyOf(t *testing.T, opts database.Options, name string) (*Proxy, database.Options) {
	t.Helper()
	p, opts := ThroughProxy(t, opts)
	p.only = name
	return p, opts
}

// Restore accepts connections, always at the same address.
func (p *Proxy) Restore() {
	p.t.Helper()
	p.mu.Lock()
	p.cut = false
	listening := p.listener != nil && p.only != ""
	p.mu.Unlock()
	if listening {
		return
	}
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
	if p.cut = true; p.only == "" {
		p.listener.Close()
	}
	for conn := range p.open {
		conn.Close()
	}
	clear(p.open)
}

// Stall keeps every connection open and forwards no data, as a stopped server does, until the
// returned function is called.
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

// passing is the lock of connections that are never stalled.
var passing sync.RWMutex

func (p *Proxy) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	stall := &p.stall
	startup := make([]byte, 8<<10) // its only message before the server answers
	n, err := client.Read(startup)
	if err != nil {
		return
	}
	if startup = startup[:n]; p.only == "" || bytes.Contains(startup, []byte(p.only)) {
		p.mu.Lock()
		refused := p.cut
		p.open[client], p.open[server] = true, true
		p.mu.Unlock()
		if refused {
			return
		}
	} else {
		stall = &passing
	}
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, pass{server, stall})
	}()
	_, _ = io.Copy(server, pass{io.MultiReader(bytes.NewReader(startup), client), stall})
}

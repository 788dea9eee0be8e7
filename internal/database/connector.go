package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// discardInterval is the shortest time between two replacements of all connections. Without it,
// each write that a read-only server refuses would reconnect the pool.
const discardInterval = time.Second

// errNotWritable means that a host does not have the target_session_attrs.
var errNotWritable = errors.New("the server accepts no writes")

// connector opens the connections of a pool. Each connection belongs to a generation; those of
// earlier generations leave the pool when they are next checked out or returned.
type connector struct {
	hosts []host
	// unfit is a query that returns true on a host that must not be used. It is empty if any host
	// may be used.
	unfit string
	// shuffle starts with a random host (load_balance_hosts).
	shuffle  bool
	prepared bool

	// preferred is the index of the host of the last connection. A host that does not answer costs
	// connect_timeout, and only the first connection after a failover should wait for it.
	preferred  atomic.Int64
	generation atomic.Int64
	// mixed is set once a pooler has mixed statements: no statement is safe then. failed holds the
	// error.
	mixed  atomic.Bool
	failed chan error

	mu        sync.Mutex
	discarded time.Time
}

// host is one server of the database URL.
type host struct {
	name string
	*pq.Connector
}

// newConnector returns the connector of a Postgres DSN, whose parameters change may set. timeout
// bounds the wait for the reply to a statement; zero means no bound.
//
// It tries the hosts itself: lib/pq tries them in the order of the DSN for each connection, and
// reports a read-only session with an error that cannot be distinguished from others.
func newConnector(dsn *url.URL, change func(url.Values), timeout time.Duration, prepared bool) (*connector, error) {
	text, err := complete(dsn, change)
	if err != nil {
		return nil, fmt.Errorf("read database URL: %w", err)
	}
	cfg, err := pq.NewConfig(text)
	if err != nil {
		return nil, fmt.Errorf("read database URL: %w", err)
	}
	c := &connector{
		shuffle: cfg.LoadBalanceHosts == pq.LoadBalanceHostsRandom, prepared: prepared, failed: make(chan error, 1),
	}
	configs := []pq.Config{cfg}
	switch cfg.TargetSessionAttrs {
	case pq.TargetSessionAttrsReadWrite:
		c.unfit = "SELECT current_setting('transaction_read_only')::bool" // also true in recovery
		configs = eachHost(cfg)
	case pq.TargetSessionAttrsPrimary:
		c.unfit = "SELECT pg_is_in_recovery()"
		configs = eachHost(cfg)
	}
	for _, cfg := range configs {
		one, err := pq.NewConnectorConfig(cfg)
		if err != nil {
			return nil, fmt.Errorf("read database URL: %w", err)
		}
		one.Dialer(&dialer{timeout: timeout})
		c.hosts = append(c.hosts, host{fmt.Sprintf("%s:%d", cfg.Host, cfg.Port), one})
	}
	return c, nil
}

// eachHost returns the configuration of each host of a list, without target_session_attrs.
func eachHost(cfg pq.Config) []pq.Config {
	others := cfg.Multi
	cfg.Multi, cfg.TargetSessionAttrs = nil, pq.TargetSessionAttrsAny
	configs := []pq.Config{cfg}
	for _, other := range others {
		c := cfg.Clone()
		c.Host, c.Hostaddr, c.Port = other.Host, other.Hostaddr, other.Port
		configs = append(configs, c)
	}
	return configs
}

// Connect opens a connection to the first usable host, beginning with the host of the last
// connection.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.mixed.Load() {
		return nil, errMixed
	}
	generation := c.generation.Load() // read first, so that a discard while it opens applies to it
	first := int(c.preferred.Load())
	if c.shuffle {
		first = rand.IntN(len(c.hosts)) //nolint:gosec // it balances load, and is not secret
	}
	var refused []error
	for i := range c.hosts {
		n := (first + i) % len(c.hosts)
		opened, err := c.open(ctx, c.hosts[n])
		if err == nil {
			c.preferred.Store(int64(n))
			return &conn{pqConn: opened, connector: c, generation: generation}, nil
		}
		refused = append(refused, err)
	}
	if len(refused) == 1 {
		return nil, errors.Unwrap(refused[0])
	}
	return nil, fmt.Errorf("no host of the database URL can be used: %w", errors.Join(refused...))
}

// open opens a connection to one host. Its error wraps the cause and names the host.
func (c *connector) open(ctx context.Context, h host) (pqConn, error) {
	named := func(err error) error { return fmt.Errorf("%s: %w", h.name, err) }
	opened, err := h.Connect(ctx)
	if err != nil {
		return nil, named(c.explained(err))
	}
	whole, ok := opened.(pqConn)
	if !ok {
		return nil, named(errors.Join(fmt.Errorf("lib/pq connection %T lacks an interface", opened), opened.Close()))
	}
	if c.unfit == "" {
		return whole, nil
	}
	unfit, err := queryBool(ctx, whole, c.unfit)
	if err == nil && unfit {
		err = errNotWritable
	}
	if err != nil {
		_ = opened.Close() // err says why
		return nil, named(err)
	}
	return whole, nil
}

// queryBool runs a query that returns one boolean.
func queryBool(ctx context.Context, conn driver.QueryerContext, query string) (answer bool, err error) {
	rows, err := conn.QueryContext(ctx, query, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		return false, err
	}
	return slices.Equal(row, []driver.Value{true}), nil
}

// Driver returns lib/pq.
func (c *connector) Driver() driver.Driver { return c.hosts[0].Driver() }

// discard begins a new generation, at most once in discardInterval.
func (c *connector) discard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.discarded) < discardInterval {
		return
	}
	c.discarded = time.Now()
	c.generation.Add(1)
}

package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"
	"github.com/lib/pq"

	"tenantry/internal/cache"
)

const (
	// channel is where the triggers of the schema say what has changed.
	channel = "tenantry_changes"
	// beat is how often the listener proves that it is heard, and answerBeat how long that may take.
	beat, answerBeat = 150 * time.Millisecond, 300 * time.Millisecond
	// reconnect is how long a listener that was lost waits.
	reconnect = 100 * time.Millisecond
	// sayEvery is how often it is said at most that nothing is heard.
	sayEvery = 10 * time.Second
)

// remembered are the tables whose rows a cache may be made of.
var remembered = []string{"users", "refresh_tokens", "user_roles", "roles", "tenants", "oauth_providers"}

type quietKey struct{}

// Quiet says that what is written changes nothing that is remembered, whatever the table.
func Quiet(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

// changes reports whether a statement may change what is remembered.
func changes(ctx context.Context, query string) bool {
	verb, rest, _ := strings.Cut(query, " ")
	if verb == "SELECT" || verb == "COPY" || ctx.Value(quietKey{}) != nil {
		return false
	}
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "FROM "), "INTO ")
	table, _, _ := strings.Cut(rest, " ")
	table = strings.Trim(table, "\"`")
	if verb == "INSERT" && table == "refresh_tokens" {
		return false // nobody has asked for it before
	}
	return slices.Contains(remembered, table)
}

// Keep keeps a cache true until ctx is done: by what the database says of the changes of every instance, or on SQLite, which has one, by
// its own writes. What other programs write to the file is heard of within a beat.
func (db *DB) Keep(ctx context.Context, c *cache.Cache, log *slog.Logger) {
	if db.Dialect() == dialect.Postgres && !db.opts.Prepared && db.opts.NotifyURL == "" {
		// A pooler would answer for a connection that nothing is heard on.
		log.WarnContext(ctx, "nothing is remembered: without prepared statements there may be a pooler; name a way past it in TENANTRY_NOTIFY_URL")
		return
	}
	var said time.Time
	for ctx.Err() == nil {
		follow := db.listen
		if db.Dialect() == dialect.SQLite {
			follow = db.watch
		}
		if err := follow(ctx, c); err != nil && ctx.Err() == nil && time.Since(said) > sayEvery {
			said = time.Now()
			log.WarnContext(ctx, "nothing is remembered until changes are heard of again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(reconnect):
		}
	}
}

// Report tells a cache of the writes of this instance. It must be called before the first of them.
func (db *DB) Report(c *cache.Cache) {
	db.driver.pools.write.written = c.Written
}

// listen hears what the triggers say. The listener of lib/pq that reconnects by itself queues what it has heard, so that nobody knows when
// it has caught up; this one hands over each notice before it reads on.
func (db *DB) listen(ctx context.Context, c *cache.Cache) error {
	dsn, err := url.Parse(cmp.Or(db.opts.NotifyURL, db.opts.URL))
	if err != nil {
		return errors.New("the URL to listen at is none") // the cause would repeat the password
	}
	notices := make(chan *pq.Notification)
	conn, err := pq.NewListenerConn(complete(dsn, func(url.Values) {}), notices)
	if err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	marks, heard := make(chan func()), make(chan struct{})
	go func() {
		defer close(heard)
		hear(c, notices, marks)
	}()
	defer func() {
		_ = conn.Close() // a connection that is lost already says so
		<-heard
	}()
	if _, err := conn.Listen(channel); err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	c.Reset() // of what changed before, nothing was heard
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	for {
		begun, writes := time.Now(), c.Writes()
		if err := answered(conn); err != nil {
			return err
		}
		select {
		case marks <- func() { c.Heard(begun, writes) }: // behind every notice that came before the answer
		case <-heard:
			return errors.New("the connection is lost")
		}
		select {
		case <-ticks.C:
		case <-c.Wake():
		case <-ctx.Done():
			return nil
		}
	}
}

// hear passes on notices until there are no more.
func hear(c *cache.Cache, notices <-chan *pq.Notification, marks <-chan func()) {
	for {
		select {
		case n, ok := <-notices:
			if !ok {
				return
			}
			if id, err := uuid.Parse(n.Extra); err == nil {
				c.Changed(id)
			} else {
				c.Reset()
			}
		case mark := <-marks:
			mark()
		}
	}
}

// answered asks for an answer, which comes behind every notice of what was committed before.
func answered(conn *pq.ListenerConn) error {
	done := make(chan error, 1)
	go func() {
		_, err := conn.ExecSimpleQuery("")
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(answerBeat):
		return errors.New("the listener is not answered")
	}
}

// watch hears of the own writes at once, and of another program's by the version of the file, which both raise.
func (db *DB) watch(ctx context.Context, c *cache.Cache) error {
	conn, err := db.SQL.Conn(ctx)
	if err != nil {
		return fmt.Errorf("watch the file: %w", err)
	}
	defer conn.Close() //nolint:errcheck // it is read from only
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	var version int64
	for {
		begun, writes, before := time.Now(), c.Writes(), version
		if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			return fmt.Errorf("watch the file: %w", err)
		}
		if version != before {
			c.Reset()
		}
		c.Heard(begun, writes)
		select {
		case <-ticks.C:
		case <-c.Wake():
		case <-ctx.Done():
			return nil
		}
	}
}

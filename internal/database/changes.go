package database

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/internal/cache"
)

const (
	// readEvery is how often an instance reads the change log. It also reads after each of its own
	// commits.
	readEvery = 150 * time.Millisecond
	// retryAfter is the pause after a failed read.
	retryAfter = 100 * time.Millisecond
	// logEvery is how often a change log that stays unreadable is logged.
	logEvery = 10 * time.Second
)

// cachedTables are the tables that cached values are read from.
var cachedTables = []string{"users", "refresh_tokens", "user_roles", "roles", "tenants", "oauth_providers"}

type withoutInvalidationKey struct{}

// WithoutInvalidation marks the writes of ctx as irrelevant to cached data, so that the instance
// does not read the change log after them. It does not keep triggers from recording a change.
func WithoutInvalidation(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutInvalidationKey{}, true)
}

// invalidates reports whether a statement may change cached data. It returns true for a statement
// that it cannot classify.
func invalidates(ctx context.Context, query string) bool {
	if strings.HasPrefix(query, "SELECT ") || ctx.Value(withoutInvalidationKey{}) != nil {
		return false
	}
	verb, rest, _ := strings.Cut(query, " ")
	switch verb {
	case "UPDATE":
	case "DELETE":
		rest = strings.TrimPrefix(rest, "FROM ")
	case "INSERT":
		rest = strings.TrimPrefix(rest, "INTO ")
	default:
		return true
	}
	table := strings.Trim(rest[:strings.IndexAny(rest+" ", " \n\t(")], "\"`")
	if verb == "INSERT" && table == "refresh_tokens" {
		return false // a new session is in no cache
	}
	return slices.Contains(cachedTables, table) || strings.ContainsAny(table, `."`) || table == "ONLY" || table == ""
}

// ReportWrites makes the database report each write that may change cached data to the cache. It
// must be called before the first write.
func (db *DB) ReportWrites(c *cache.Cache) { db.driver.pools.write.written = c.Written }

// changeReader reads the change log.
type changeReader interface {
	// read returns the keys of the changes since the last read. everything is true if changes may
	// be missing from keys.
	read(context.Context) (keys []uuid.UUID, everything bool, err error)
	Close() error
}

// FollowChanges reads the change log until ctx is done, and invalidates the cache entries of the
// changed rows. While the log cannot be read, the cache is not fresh.
func (db *DB) FollowChanges(ctx context.Context, c *cache.Cache, log *slog.Logger) {
	reader, err := db.newChangeReader()
	if err != nil {
		log.ErrorContext(ctx, "cache disabled: change log cannot be opened", "error", err)
		return
	}
	defer func() {
		if err := reader.Close(); err != nil {
			log.WarnContext(ctx, "close the change log", "error", err)
		}
	}()
	ticks := time.NewTicker(readEvery)
	defer ticks.Stop()
	var logged time.Time
	for {
		pause := ticks.C
		if err := applyChanges(ctx, reader, c); err != nil {
			if ctx.Err() == nil && time.Since(logged) > logEvery {
				logged = time.Now()
				log.WarnContext(ctx, "cache disabled: change log unreadable, retrying", "error", err)
			}
			pause = time.After(retryAfter)
		} else {
			logged = time.Time{}
		}
		select {
		case <-ctx.Done():
			return
		case <-pause:
		case <-c.Wake():
		}
	}
}

func applyChanges(ctx context.Context, reader changeReader, c *cache.Cache) error {
	// Both are taken before the read, so that the read covers them.
	began, writes := time.Now(), c.Writes()
	keys, everything, err := reader.read(ctx)
	if err != nil {
		return err
	}
	if everything {
		c.Reset()
	}
	for _, key := range keys {
		c.Changed(key)
	}
	c.Confirm(began, writes)
	return nil
}

func (db *DB) newChangeReader() (changeReader, error) {
	if db.Dialect() == dialect.SQLite {
		return &sqliteChangeLog{writer: db.driver.pools.write.db}, nil
	}
	return openChangeLog(db.opts, db.connector)
}

package database

import (
	"context"
	"database/sql"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxStatements bounds the prepared statements of a connection. The application has far fewer
	// distinct ones, except for lists of varying length.
	maxStatements = 256
	// closeAfter is how long an evicted statement stays open, since a request may be about to run
	// it.
	closeAfter = time.Minute
)

// statements prepares each distinct query once. ent prepares no statements, and an unprepared query
// with parameters costs lib/pq a second round trip.
type statements struct {
	db    *sql.DB
	cache *lru.Cache[string, *sql.Stmt]
}

func newStatements(db *sql.DB) (*statements, error) {
	cache, err := lru.NewWithEvict(maxStatements, func(_ string, s *sql.Stmt) {
		time.AfterFunc(closeAfter, func() { _ = s.Close() })
	})
	if err != nil {
		return nil, err
	}
	return &statements{db: db, cache: cache}, nil
}

// prepare returns the prepared form of query.
func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := s.cache.Get(query); ok {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, exists, _ := s.cache.PeekOrAdd(query, stmt); exists {
		_ = stmt.Close() //nolint:sqlclosecheck // use the statement of the concurrent call
		return first, nil
	}
	return stmt, nil
}

// prepared returns the prepared form of query if there is one already.
func (s *statements) prepared(query string) (*sql.Stmt, bool) { return s.cache.Get(query) }

type replanKey struct{}

// ReplanEachTime returns a context whose queries are planned for their values each time, which
// costs a second round trip and the planning. After a few executions a prepared statement gets a
// generic plan, which fits a tenant of average size; for one that is a thousand times larger, that
// plan may take a thousand times as long.
func ReplanEachTime(ctx context.Context) context.Context {
	return context.WithValue(ctx, replanKey{}, true)
}

func replans(ctx context.Context) bool { return ctx.Value(replanKey{}) != nil }

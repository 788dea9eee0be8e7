package database

import (
	"context"
	"database/sql"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxStatements bounds what a connection keeps prepared. The application has far fewer distinct
	// statements; lists of varying length are what could grow without it.
	maxStatements = 256
	// closeAfter is how long an evicted statement is kept, since a request may just be about to run
	// it.
	closeAfter = time.Minute
)

// statements prepares each distinct query once: ent prepares nothing itself, and an unprepared
// query with parameters costs lib/pq a second round trip.
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
	if winner, found, _ := s.cache.PeekOrAdd(query, stmt); found {
		_ = stmt.Close() //nolint:sqlclosecheck // the concurrent call was faster, and its statement is used
		return winner, nil
	}
	return stmt, nil
}

// prepared returns the prepared form of query if there is one already.
func (s *statements) prepared(query string) (*sql.Stmt, bool) { return s.cache.Get(query) }

type replanKey struct{}

// ReplanEachTime returns a context whose queries are planned for their values each time. A prepared
// statement that was run a few times gets one plan for all values, which suits a tenant of average
// size: to one that is a thousand times larger it may cost a thousand times as much. It costs a
// second round trip and the planning.
func ReplanEachTime(ctx context.Context) context.Context {
	return context.WithValue(ctx, replanKey{}, true)
}

func replans(ctx context.Context) bool { return ctx.Value(replanKey{}) != nil }

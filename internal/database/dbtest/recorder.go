package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"entgo.io/ent/dialect"
)

// ErrRecorded is the error of every statement of a Recorder.
var ErrRecorded = errors.New("recorded")

// Statement is a statement that ent was about to run.
type Statement struct {
	Query string
	Args  []any
}

// Recorder is a driver of ent that records statements instead of running them.
type Recorder struct {
	dialect.Driver
	mu         sync.Mutex
	statements []Statement
}

// NewRecorder returns a recorder of statements in a dialect.
func NewRecorder(name string) *Recorder { return &Recorder{Driver: emptyDriver{name: name}} }

// Statements returns what was recorded since the last call.
func (r *Recorder) Statements() []Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	recorded := r.statements
	r.statements = nil
	return recorded
}

func (r *Recorder) record(query string, args any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, Statement{query, args.([]any)})
	return ErrRecorded
}

// Exec records a statement.
func (r *Recorder) Exec(_ context.Context, query string, args, _ any) error {
	return r.record(query, args)
}

// Query records a statement.
func (r *Recorder) Query(_ context.Context, query string, args, _ any) error {
	return r.record(query, args)
}

// QueryContext records a statement.
func (r *Recorder) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	return nil, r.record(query, args)
}

// ExecContext records a statement.
func (r *Recorder) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	return nil, r.record(query, args)
}

// emptyDriver has the dialect and nothing else.
type emptyDriver struct {
	dialect.Driver
	name string
}

func (d emptyDriver) Dialect() string { return d.name }

package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/cenkalti/backoff/v5"

	"tenantry/ent"
)

// maxTries is how many times a transaction is run if Postgres rolls it back for a deadlock or a
// serialization failure.
const maxTries = 3

// WithTx runs fn in one transaction of the client and commits if fn returns nil. It rolls back if
// fn returns an error, so a write that must be kept then does not belong in fn. After a deadlock or
// a serialization failure, and after no other error, it runs fn again, so an effect that must
// happen only once does not belong in fn either.
func WithTx(ctx context.Context, client *ent.Client, fn func(tx *ent.Client) error) error {
	return retry(ctx, func() error { return withTx(ctx, client, fn) })
}

// retry repeats run after a deadlock or a serialization failure, up to maxTries runs in all.
func retry(ctx context.Context, run func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := run()
		if err != nil && !rolledBack(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(maxTries), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 10 * time.Millisecond, RandomizationFactor: 0.9, Multiplier: 3,
		MaxInterval: 100 * time.Millisecond,
	}))
	return err
}

func withTx(ctx context.Context, client *ent.Client, fn func(tx *ent.Client) error) (err error) {
	tx, err := client.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	committed := false
	defer func() {
		// Also on a panic, which continues afterwards.
		if !committed {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if err := fn(tx.Client()); err != nil {
		return err
	}
	committed = true
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

// KeepRow makes a query of a transaction lock the rows that it reads against deletion.
func KeepRow(s *sql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.For("KEY SHARE")
	}
}

// LockRow makes a query of a transaction lock the rows that it reads against changes. Other
// transactions may still insert rows that refer to their keys. On SQLite it does nothing: a
// transaction holds the write lock from its beginning.
func LockRow(s *sql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.For("NO KEY UPDATE")
	}
}

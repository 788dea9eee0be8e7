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

// maxTries is how often a transaction runs that Postgres rolls back for a deadlock or a
// serialization failure.
const maxTries = 3

// WithTx runs fn in one transaction of the client and commits if fn returns nil. What must survive
// an error that the client is to see does not belong in fn, nor what must not happen twice: after a
// deadlock or a serialization failure, and after nothing else, fn is run again from its beginning.
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
		// Also on a panic, which goes on after it.
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

// KeepRow makes a query of a transaction keep others from deleting the rows that it reads.
func KeepRow(s *sql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.For("KEY SHARE")
	}
}

// LockRow makes a query of a transaction keep others from changing the rows that it reads. The keys
// of the rows stay free for those who refer to them. On SQLite a transaction is the one writer from
// its beginning.
func LockRow(s *sql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.For("NO KEY UPDATE")
	}
}

package database

import (
	"context"
	"errors"
	"fmt"

	"tenantry/ent"
)

// WithTx runs fn in one transaction of the client and commits if fn returns nil. What must survive an error that the
// client is to see does not belong in fn.
func WithTx(ctx context.Context, client *ent.Client, fn func(tx *ent.Client) error) (err error) {
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

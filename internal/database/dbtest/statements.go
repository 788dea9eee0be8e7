package dbtest

import (
	"context"
	"time"

	"tenantry/internal/principal"
)

// CountStatements returns a context whose statements are counted, and a function that returns their
// number and total duration so far.
func CountStatements(ctx context.Context) (context.Context, func() (int64, time.Duration)) {
	r := &principal.Record{}
	return principal.WithRecord(ctx, r), r.Statements
}

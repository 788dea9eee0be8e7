package ratelimit

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// An attack from many addresses creates many throttles, which are deleted in batches.
func TestDeleteExpired_deletesInBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		l, ctx := testLimiter(db.Client), principal.System(t.Context(), "test")
		const expired = 2*expiredAtOnce + 5
		now := time.Now().UnixMilli()
		for i := range expired + 3 {
			expires := now - 1
			if i < 3 {
				expires = now + 100_000
			}
			db.Client.Throttle.Create().SetID(uuid.NewString()).SetExcess(0).SetExpiresAt(expires).ExecX(ctx)
		}
		counted, statements := dbtest.CountStatements(t.Context())
		if err := l.DeleteExpired(counted); err != nil {
			t.Fatal(err)
		}
		if n, _ := statements(); n != 3 {
			t.Errorf("%d statements", n)
		}
		if n := db.Client.Throttle.Query().CountX(ctx); n != 3 {
			t.Errorf("%d attempts are left", n)
		}
	})
}

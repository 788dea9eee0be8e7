package database_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/ent/oauthstate"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// Two instances that clean up at once remove what has expired in every tenant, each row once, and nothing else.
func TestExpired_rows_go_in_batches_and_once(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := principal.System(t.Context(), "test")
		now := time.Now().UTC().Truncate(time.Second)
		const expired, alive = 1203, 40
		for n, slug := range []string{"one", "two"} {
			home := db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(ctx)
			var rows []*ent.OAuthStateCreate
			for i := n; i < expired+alive; i += 2 {
				hash := sha256.Sum256(fmt.Append(nil, i))
				ends := now.Add(-time.Microsecond)
				if i >= expired {
					ends = now
				}
				rows = append(rows, db.Client.OAuthState.Create().SetTenantID(home.ID).SetStateHash(hash[:]).SetProvider("p").
					SetCodeVerifier(strings.Repeat("v", 43)).SetNonce("n").SetBrowserHash(hash[:]).SetExpiresAt(ends))
			}
			db.Client.OAuthState.CreateBulk(rows...).ExecX(ctx)
		}
		var removed atomic.Int64
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				n, err := db.DeleteExpired(t.Context(), oauthstate.Table, now)
				if err != nil {
					t.Error(err)
				}
				removed.Add(n)
			})
		}
		both.Wait()
		if left := db.Client.OAuthState.Query().CountX(ctx); removed.Load() != expired || left != alive {
			t.Errorf("%d removed and %d left, want %d and %d", removed.Load(), left, expired, alive)
		}
	})
}

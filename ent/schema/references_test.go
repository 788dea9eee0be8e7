package schema_test

import (
	"context"
	"errors"
	"testing"

	"tenantry/ent/migrate"
	"tenantry/ent/privacy"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestReference_toUserOfAnotherTenantIsDenied(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		a, b := w.row(t, w.a), w.row(t, w.b)
		a.user = b.user
		asUser := principal.NewContext(t.Context(), &principal.Principal{TenantID: w.a, UserID: w.row(t, w.a).user})
		for who, ctx := range map[string]context.Context{"tenant": w.asA, "user": asUser, "system": w.system} {
			for _, name := range []string{"refresh_tokens", "oauth_states", "one_time_tokens", "user_identities"} {
				if err := tables[name].create(w.client, a).Exec(ctx); !errors.Is(err, privacy.Deny) {
					t.Errorf("%s: %s: %v", who, name, err)
				}
				if rows := w.rows(t, name); len(rows) != 0 {
					t.Errorf("%s: stored %v", name, rows)
				}
			}
		}
	})
}

// Deleting a row cascades to the rows that refer to it. Without an index the database would scan
// the whole table for them. References to tenants are exempt: tenants are rarely deleted.
func TestReferences_areIndexed(t *testing.T) {
	t.Parallel()
	for _, table := range migrate.Tables {
		for _, key := range table.ForeignKeys {
			if key.RefTable.Name == "tenants" {
				continue
			}
			column := key.Columns[0]
			leads := len(table.PrimaryKey) > 0 && table.PrimaryKey[0] == column
			for _, index := range table.Indexes {
				leads = leads || index.Columns[0] == column
			}
			if !leads {
				t.Errorf("no index of %s begins with %s", table.Name, column.Name)
			}
		}
	}
}

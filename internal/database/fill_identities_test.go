package database_test

import (
	"strings"
	"testing"

	"tenantry/ent/useridentity"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// The migration copies the identities that the previous version has linked.
func TestUp_copiesPrimaryIdentities(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := principal.System(t.Context(), "test")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
		linked := db.Client.User.Create().SetTenantID(home.ID).SetEmail("ada@acme.test").SetOauthProvider("google:x").
			SetOauthID("4711").SaveX(ctx)
		db.Client.User.Create().SetTenantID(home.ID).SetEmail("bob@acme.test").ExecX(ctx)
		// The triggers that the migration creates would clear the primary identity.
		statements := []string{"DROP TRIGGER identity_insert ON user_identities",
			"DROP TRIGGER identity_delete ON user_identities", "DELETE FROM user_identities"}
		if strings.HasPrefix(db.Dialect(), "sqlite") {
			statements = []string{"DROP TRIGGER user_identities_identity_insert",
				"DROP TRIGGER user_identities_identity_delete", "DELETE FROM user_identities"}
		}
		for _, file := range files(t, embedded(t, db.Dialect())) {
			if file.Version() != "20261128090901" {
				continue
			}
			more, err := file.Stmts()
			if err != nil {
				t.Fatal(err)
			}
			statements = append(statements, more...)
		}
		for _, statement := range statements {
			if _, err := db.Client.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		copied := db.Client.UserIdentity.Query().OnlyX(ctx)
		if len(statements) != 6 || copied.UserID != linked.ID || copied.TenantID != home.ID ||
			copied.Provider != "google:x" || copied.Subject != "4711" || copied.ID.Version() != 7 ||
			copied.VerifiedBy != useridentity.VerifiedByUnknown || !copied.CreatedAt.Equal(linked.CreatedAt) {
			t.Errorf("copied %v with %d statements", copied, len(statements))
		}
	})
}

package database_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/migrations"
)

// The migration resets the verification of addresses that only a tenant's provider has asserted,
// and of no others. The provider may have been removed before.
func TestUp_unverifiesAddressesOfTenantProviders(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := principal.System(t.Context(), "test")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
		own := db.Client.OAuthProvider.Create().SetTenantID(home.ID).SetName("corporate").
			SetKind(oauthprovider.KindOidc).
			SetLabel("x").SetClientID("x").SaveX(ctx).ID.String()
		create := func(email, provider string, hash *string) uuid.UUID {
			u := db.Client.User.Create().SetTenantID(home.ID).SetEmail(email).SetNillablePasswordHash(hash).
				SetEmailVerifiedAt(time.Now().UTC())
			if provider != "" {
				u.SetOauthProvider(provider).SetOauthID(email)
			}
			return u.SaveX(ctx).ID
		}
		hash := "hash"
		want := map[uuid.UUID]bool{
			create("own@acme.test", own, nil):               false,
			create("both@acme.test", own, &hash):            false,
			create("removed@acme.test", "", nil):            false,
			create("password@acme.test", "", &hash):         true,
			create("server@acme.test", "google:abc", nil):   true,
			create("linked@acme.test", "google:abc", &hash): true,
		}
		dir, err := migrations.Dir(strings.TrimSuffix(db.Dialect(), "3"))
		if err != nil {
			t.Fatal(err)
		}
		files, err := dir.Files()
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if file.Version() != "20261127221659" {
				continue
			}
			if _, err := db.Client.ExecContext(t.Context(), string(file.Bytes())); err != nil {
				t.Fatal(err)
			}
		}
		for _, u := range db.Client.User.Query().AllX(ctx) {
			if verified := u.EmailVerifiedAt != nil; verified != want[u.ID] {
				t.Errorf("%s is verified: %t", u.Email, verified)
			}
		}
	})
}

package cli_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestCommands_namesAreTrimmedAndNormalisedOrRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		command := apitest.Command(t, opts)
		create := func(tenant, fullName string) (err error) {
			_, err = command(apitest.OwnerPassword, "tenant", "create", "t-"+uuid.NewString()[:8], "--name="+tenant,
				"--owner=owner@beta.test", apitest.PasswordFromStdin)
			if err == nil {
				_, err = command(apitest.OwnerPassword, "user", "create", "--tenant=acme", "--email="+uuid.NewString()+
					"@acme.test", "--full-name="+fullName, apitest.PasswordFromStdin)
			}
			return err
		}
		for _, invalid := range [][]string{{"Be\u200bta", "Ada"}, {"Beta", "Ad\u202ea"}, {"Beta\x1b[31m", "Ada"},
			{"Beta", "Ada\nBob"}} {
			if err := create(invalid[0], invalid[1]); err == nil || !strings.Contains(err.Error(), "U+") {
				t.Errorf("%+q: %v", invalid, err)
			}
		}
		if err := create(" Cafe\u0301 ", "\u00a0Ada\u2003King "); err != nil {
			t.Fatal(err)
		}
		ctx := principal.System(t.Context(), "test")
		tenants := s.DB.Client.Tenant.Query().Select("name").StringsX(ctx)
		users := s.DB.Client.User.Query().Select("full_name").StringsX(ctx)
		if !slices.Contains(tenants, "Caf\u00e9") || !slices.Contains(users, "Ada King") {
			t.Errorf("stored %+q and %+q", tenants, users)
		}
	})
}

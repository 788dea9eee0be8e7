package database_test

import (
	"slices"
	"strings"
	"testing"

	"tenantry/ent/schema/settings"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestDown_thenUpRestoresSchema(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		db, m := open(t, opts)
		ctx := principal.System(t.Context(), "test")
		tenant := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SetSettings(settings.Tenant{}).SaveX(ctx)
		db.Client.User.Create().SetTenantID(tenant.ID).SetEmail("a@acme.test").SaveX(ctx)

		down := func(to string) *database.DownPlan {
			t.Helper()
			plan, err := m.PlanDown(t.Context(), to, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Down(t.Context(), plan); err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(plan.Statements, "\n"))
			}
			return plan
		}
		all := len(status(t, m))
		// The version before the change log has other triggers.
		down("expired_sessions")
		db.Client.User.Update().SetFullName("Ada").ExecX(ctx)
		up(t, m)
		reader := database.NewChangeReader(t, db)
		reader.Read(t)
		db.Client.User.Update().SetFullName("Ada L.").ExecX(ctx)
		if keys, everything := reader.Read(t); len(keys) != 1 || everything {
			t.Errorf("the change log has %v after down and up", keys)
		}
		if plan := down("init"); !slices.Contains(plan.Losses, "column users.password_version: 1 rows") ||
			pending(t, m) != all-1 {
			t.Fatalf("down to init loses %v", plan.Losses)
		}
		if n := db.Client.User.Query().CountX(ctx); n != 1 {
			t.Fatalf("%d users after down to init", n)
		}
		up(t, m)
		if n := db.Client.User.Query().CountX(ctx); n != 1 {
			t.Fatalf("%d users after up again", n)
		}
		if plan := down("0"); !slices.Contains(plan.Losses, "table users: 1 rows") {
			t.Fatalf("down to nothing does not say what is lost: %v", plan.Losses)
		}
		up(t, m)
		if n := db.Client.User.Query().CountX(ctx); n != 0 {
			t.Fatalf("%d users in a new database", n)
		}
	})
}

func TestDown_unknownVersionAndOutdatedPlanAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		_, m := open(t, opts)
		if _, err := m.PlanDown(t.Context(), "20010101000000", ""); err == nil {
			t.Error("an unknown version")
		}
		stale, err := m.PlanDown(t.Context(), "0", "")
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := m.PlanDown(t.Context(), "init", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Down(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
		if err := m.Down(t.Context(), stale); err == nil {
			t.Error("a plan that was computed before the last migration is accepted")
		}
	})
}

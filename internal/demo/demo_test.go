package demo_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/roleassignment"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
)

var options = demo.Options{Tenants: 12, Users: 600, Seed: 7, Now: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}

func TestFill_satisfiesSchemas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		var progress int
		opts := options
		opts.Progress = func(users int) { progress += users }
		filled, err := demo.Fill(t.Context(), db, opts)
		if err != nil {
			t.Fatal(err)
		}
		checkSummary(t, db, filled, progress)
		for _, of := range db.Client.Tenant.Query().AllX(principal.System(t.Context(), "test")) {
			in := principal.NewContext(t.Context(), principal.InTenant(of.ID))
			if owners := db.Client.RoleAssignment.Query().Where(ofRole("owner")).CountX(in); owners != 1 {
				t.Errorf("%s has %d owners", of.Slug, owners)
			}
			for _, u := range db.Client.User.Query().WithRoles().AllX(in) {
				checkUser(in, t, db, of, u)
			}
		}
		invalid := db.Client.RefreshToken.Query().Where(refreshtoken.Or(
			refreshtoken.And(refreshtoken.Revoked(false), refreshtoken.HasUserWith(user.IsActive(false))),
			refreshtoken.ExpiresAtLTE(opts.Now), refreshtoken.RotatedAtGT(opts.Now), ofOtherTenant,
		)).CountX(principal.System(t.Context(), "test"))
		if invalid > 0 {
			t.Errorf("%d sessions are invalid", invalid)
		}
		if _, err := demo.Fill(t.Context(), db, options); err == nil {
			t.Error("a second Fill succeeds")
		}
	})
}

// checkSummary compares a summary with the rows of the database.
func checkSummary(t *testing.T, db *database.DB, filled demo.Summary, progress int) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	for name, counts := range map[string][2]int{
		"tenants":     {filled.Tenants, db.Client.Tenant.Query().CountX(ctx)},
		"users":       {filled.Users, db.Client.User.Query().CountX(ctx)},
		"roles":       {filled.Roles, db.Client.Role.Query().CountX(ctx)},
		"assignments": {filled.Assignments, db.Client.RoleAssignment.Query().CountX(ctx)},
		"sessions":    {filled.Sessions, db.Client.RefreshToken.Query().CountX(ctx)},
		"progress":    {filled.Users, progress},
	} {
		if counts[0] != counts[1] || counts[0] == 0 {
			t.Errorf("%s: the summary has %d, the database %d", name, counts[0], counts[1])
		}
	}
	if filled.LargestUsers != 157 || filled.Largest != "demo-2" {
		t.Errorf("the largest is %s with %d", filled.Largest, filled.LargestUsers)
	}
}

// checkUser checks that the hooks and validators of the schema would have stored the same user.
func checkUser(in context.Context, t *testing.T, db *database.DB, of *ent.Tenant, u *ent.User) {
	t.Helper()
	if canonical, err := auth.CanonicalEmail(u.Email); err != nil || canonical != u.Email {
		t.Errorf("%q is not canonical: %v", u.Email, err)
	}
	if roles, err := u.Edges.RolesOrErr(); err != nil || len(roles) == 0 || roles[0].TenantID != of.ID {
		t.Errorf("%s has the roles %v, %v", u.Email, roles, err)
	}
	if sec, nsec := u.ID.Time().UnixTime(); u.ID.Version() != 7 || sec < 0 || nsec < 0 {
		t.Errorf("%s is not a UUIDv7", u.ID)
	}
	if u.CreatedAt.After(options.Now) || u.PasswordHash != nil || u.IsSuperuser {
		t.Errorf("%+v", u)
	}
	stored := db.Client.User.UpdateOne(u).SetFullName(u.FullName).SaveX(in)
	if stored.FullNameFolded != u.FullNameFolded || stored.FullName != u.FullName {
		t.Errorf("%q is folded to %q, and by the schema to %q", u.FullName, u.FullNameFolded, stored.FullNameFolded)
	}
}

func ofRole(name string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		roleassignment.HasRoleWith(func(r *sql.Selector) { r.Where(sql.EQ(r.C("name"), name)) })(s)
	}
}

// ofOtherTenant selects sessions of another tenant than their user's.
func ofOtherTenant(sessions *sql.Selector) {
	users := sql.Table(user.Table)
	sessions.Where(sql.NotExists(sql.Dialect(sessions.Dialect()).Select().From(users).Where(sql.And(
		sql.ColumnsEQ(users.C(user.FieldID), sessions.C(refreshtoken.FieldUserID)),
		sql.ColumnsEQ(users.C(user.FieldTenantID), sessions.C(refreshtoken.FieldTenantID)),
	))))
}

func TestFill_equalOptionsYieldEqualRows(t *testing.T) {
	t.Parallel()
	sums := make(chan [sha256.Size]byte, 4)
	t.Run("each", func(t *testing.T) {
		dbtest.Each(t, func(t *testing.T, db *database.DB) {
			if _, err := demo.Fill(t.Context(), db, options); err != nil {
				t.Fatal(err)
			}
			sums <- sum(t, db.Client)
		})
	})
	close(sums)
	first := <-sums
	for other := range sums {
		if other != first {
			t.Error("the databases differ")
		}
	}
	another := dbtest.Open(t, dbtest.SQLite(t))
	opts := options
	opts.Seed++
	if _, err := demo.Fill(t.Context(), another, opts); err != nil {
		t.Fatal(err)
	}
	if sum(t, another.Client) == first {
		t.Error("another seed yields the same rows")
	}
}

// sum returns a digest of the rows.
func sum(t *testing.T, client *ent.Client) [sha256.Size]byte {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	var all string
	for _, x := range client.Tenant.Query().Order(tenant.ByID()).AllX(ctx) {
		all += fmt.Sprintln(x.ID, x.Slug, x.IsActive, x.CreatedAt.UTC())
	}
	for _, u := range client.User.Query().Order(user.ByID()).AllX(ctx) {
		all += fmt.Sprintln(u.ID, u.TenantID, u.Email, u.FullName, u.IsActive, u.CreatedAt.UTC())
	}
	for _, s := range client.RefreshToken.Query().Order(refreshtoken.ByID()).AllX(ctx) {
		all += fmt.Sprintln(s.ID, s.UserID, s.Revoked, s.Counter, s.IP, s.RotatedAt.UTC(), s.ExpiresAt.UTC())
	}
	return sha256.Sum256([]byte(all))
}

func TestFill_interruptedInsertsNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		opts := options
		opts.Users = 6_000 // more than one batch
		opts.Progress = func(int) { time.AfterFunc(5*time.Millisecond, cancel) }
		if _, err := demo.Fill(ctx, db, opts); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if n := db.Client.Tenant.Query().CountX(principal.System(t.Context(), "test")); n != 0 {
			t.Errorf("%d tenants", n)
		}
	})
}

func TestFill_acceptsAnyValidSize(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][2]int{{1, 1}, {1, 100}, {2, 2}, {3, 4}, {7, 100}, {100, 100}} {
		db := dbtest.Open(t, dbtest.SQLite(t))
		opts := options
		opts.Tenants, opts.Users = sizes[0], sizes[1]
		if _, err := demo.Fill(t.Context(), db, opts); err != nil {
			t.Fatal(err)
		}
		ctx := principal.System(t.Context(), "test")
		if tenants, users := db.Client.Tenant.Query().CountX(ctx),
			db.Client.User.Query().CountX(ctx); tenants != sizes[0] || users != sizes[1] {
			t.Errorf("%d tenants and %d users, want %v", tenants, users, sizes)
		}
	}
	for _, sizes := range [][2]int{{0, 0}, {0, 5}, {5, 4}, {-1, 5}} {
		if _, err := demo.Fill(t.Context(), dbtest.Open(t, dbtest.SQLite(t)),
			demo.Options{Tenants: sizes[0], Users: sizes[1]}); err == nil {
			t.Errorf("%v is accepted", sizes)
		}
	}
}

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

func TestFill_keeps_what_the_schemas_demand(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		var told int
		opts := options
		opts.Progress = func(users int) { told += users }
		made, err := demo.Fill(t.Context(), db, opts)
		if err != nil {
			t.Fatal(err)
		}
		ctx := principal.System(t.Context(), "test")
		for name, counts := range map[string][2]int{
			"tenants":     {made.Tenants, db.Client.Tenant.Query().CountX(ctx)},
			"users":       {made.Users, db.Client.User.Query().CountX(ctx)},
			"roles":       {made.Roles, db.Client.Role.Query().CountX(ctx)},
			"assignments": {made.Assignments, db.Client.RoleAssignment.Query().CountX(ctx)},
			"sessions":    {made.Sessions, db.Client.RefreshToken.Query().CountX(ctx)},
			"progress":    {made.Users, told},
		} {
			if counts[0] != counts[1] || counts[0] == 0 {
				t.Errorf("%s: %d said, %d are", name, counts[0], counts[1])
			}
		}
		if made.LargestUsers != 157 || made.Largest != "demo-2" {
			t.Errorf("the largest is %s with %d", made.Largest, made.LargestUsers)
		}

		for _, home := range db.Client.Tenant.Query().AllX(ctx) {
			in := principal.NewContext(t.Context(), principal.InTenant(home.ID))
			if owners := db.Client.RoleAssignment.Query().Where(ofRole("owner")).CountX(in); owners != 1 {
				t.Errorf("%s has %d owners", home.Slug, owners)
			}
			for _, u := range db.Client.User.Query().WithRoles().AllX(in) {
				if canonical, err := auth.CanonicalEmail(u.Email); err != nil || canonical != u.Email {
					t.Errorf("%q is not canonical: %v", u.Email, err)
				}
				if roles, err := u.Edges.RolesOrErr(); err != nil || len(roles) == 0 || roles[0].TenantID != home.ID {
					t.Errorf("%s has the roles %v, %v", u.Email, roles, err)
				}
				if id, made := u.ID.Time().UnixTime(); u.ID.Version() != 7 || id < 0 || made < 0 {
					t.Errorf("%s is not a UUIDv7", u.ID)
				}
				if u.CreatedAt.After(opts.Now) || u.PasswordHash != nil || u.IsSuperuser {
					t.Errorf("%+v", u)
				}
				// What the hook would have stored.
				if again := db.Client.User.UpdateOne(u).SetFullName(u.FullName).
					SaveX(in); again.FullNameFolded != u.FullNameFolded || again.FullName != u.FullName {
					t.Errorf("%q is folded to %q, and by the schema to %q", u.FullName, u.FullNameFolded,
						again.FullNameFolded)
				}
			}
		}
		wrong := db.Client.RefreshToken.Query().Where(refreshtoken.Or(
			refreshtoken.And(refreshtoken.Revoked(false), refreshtoken.HasUserWith(user.IsActive(false))),
			refreshtoken.ExpiresAtLTE(opts.Now), refreshtoken.RotatedAtGT(opts.Now), apart,
		)).CountX(ctx)
		if wrong > 0 {
			t.Errorf("%d sessions cannot be", wrong)
		}

		if _, err := demo.Fill(t.Context(), db, options); err == nil {
			t.Error("it was filled twice")
		}
	})
}

func ofRole(name string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		roleassignment.HasRoleWith(func(r *sql.Selector) { r.Where(sql.EQ(r.C("name"), name)) })(s)
	}
}

// apart are sessions of one tenant whose user is of another.
func apart(sessions *sql.Selector) {
	users := sql.Table(user.Table)
	sessions.Where(sql.NotExists(sql.Dialect(sessions.Dialect()).Select().From(users).Where(sql.And(
		sql.ColumnsEQ(users.C(user.FieldID), sessions.C(refreshtoken.FieldUserID)),
		sql.ColumnsEQ(users.C(user.FieldTenantID), sessions.C(refreshtoken.FieldTenantID)),
	))))
}

func TestFill_makes_the_same_from_the_same(t *testing.T) {
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
		t.Error("another seed makes the same")
	}
}

// sum is the digest of all rows.
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

func TestFill_that_is_interrupted_leaves_nothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		opts := options
		opts.Users = 6_000 // more than are made at once
		opts.Progress = func(int) { time.AfterFunc(5*time.Millisecond, cancel) }
		if _, err := demo.Fill(ctx, db, opts); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if n := db.Client.Tenant.Query().CountX(principal.System(t.Context(), "test")); n != 0 {
			t.Errorf("%d tenants", n)
		}
	})
}

func TestFill_of_any_size(t *testing.T) {
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
			t.Errorf("%d tenants and %d users, asked for %v", tenants, users, sizes)
		}
	}
	for _, sizes := range [][2]int{{0, 0}, {0, 5}, {5, 4}, {-1, 5}} {
		if _, err := demo.Fill(t.Context(), dbtest.Open(t, dbtest.SQLite(t)),
			demo.Options{Tenants: sizes[0], Users: sizes[1]}); err == nil {
			t.Errorf("%v is accepted", sizes)
		}
	}
}

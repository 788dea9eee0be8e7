package schema_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/migrate"
	"tenantry/ent/privacy"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A new entity must be listed here, or have a case in tables if it has a tenant_id.
func TestTables_eachTableWithTenantHasACase(t *testing.T) {
	t.Parallel()
	var shared, owned []string
	for _, table := range migrate.Tables {
		if _, ok := table.Column("tenant_id"); ok {
			owned = append(owned, table.Name)
		} else {
			shared = append(shared, table.Name)
		}
	}
	if slices.Sort(owned); !slices.Equal(owned, slices.Sorted(maps.Keys(tables))) {
		t.Errorf("tables with a tenant_id: %v; tables with a case: %v", owned, slices.Sorted(maps.Keys(tables)))
	}
	if slices.Sort(shared); !slices.Equal(shared, []string{"changes", "settings", "signing_keys", "tenants",
		"throttles"}) {
		t.Errorf("tables without a tenant_id: %v", shared)
	}
}

func TestTenants_areIsolated(t *testing.T) {
	t.Parallel()
	for name, table := range tables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *database.DB) {
				w := newWorld(t, db)
				g := guard{world: w, name: name, access: table, mine: w.row(t, w.a), theirs: w.row(t, w.b)}
				for _, r := range []row{g.mine, g.theirs, w.row(t, w.a), w.row(t, w.b)} {
					g.must(t, table.create(w.client, r).Exec(w.system))
				}
				t.Run("query sees its own rows", g.query)
				t.Run("create sets the tenant", g.create)
				t.Run("create for another tenant is refused", g.createForeign)
				t.Run("bulk create with a row of another tenant stores nothing", g.bulkForeign)
				t.Run("update does not reach another tenant", g.update)
				t.Run("missing principal is denied", g.noPrincipal)
				// Last, because it deletes the rows of the tenant.
				t.Run("delete does not reach another tenant", g.delete)
			})
		})
	}
}

// guard tests one table with rows of two tenants, as a principal of tenant a.
type guard struct {
	world
	access
	name         string
	mine, theirs row
}

func (g guard) query(t *testing.T) {
	var seen, all []uuid.UUID
	g.must(t, g.read(g.client).Scan(g.asA, &seen))
	g.must(t, g.read(g.client).Scan(g.system, &all))
	if len(seen) < 2 || slices.ContainsFunc(seen, func(id uuid.UUID) bool { return id != g.a }) {
		t.Errorf("tenant %s sees rows of %v", g.a, seen)
	}
	if !slices.Contains(all, g.a) || !slices.Contains(all, g.b) {
		t.Errorf("the system sees rows of %v", all)
	}
}

func (g guard) create(t *testing.T) {
	r := g.row(t, g.a)
	r.tenant = nil
	before := g.rows(t, g.name)
	if err := g.access.create(g.client, r).Exec(g.system); err == nil {
		t.Error("the system may leave the tenant out")
	}
	g.must(t, g.access.create(g.client, r).Exec(g.asA))
	if after := g.rows(t, g.name); len(after[g.a]) != len(before[g.a])+1 || !slices.Equal(after[g.b], before[g.b]) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func (g guard) createForeign(t *testing.T) {
	own, foreign := g.row(t, g.a), g.row(t, g.b)
	// A row with user and role of tenant a, and a row that belongs to tenant b entirely.
	own.tenant = foreign.tenant
	before := g.rows(t, g.name)
	for _, r := range []row{own, foreign} {
		if err := g.access.create(g.client, r).Exec(g.asA); !errors.Is(err, privacy.Deny) {
			t.Errorf("create: %v", err)
		}
	}
	g.unchanged(t, before)
}

func (g guard) bulkForeign(t *testing.T) {
	rows := []row{g.row(t, g.a), g.row(t, g.b), g.row(t, g.a)}
	before := g.rows(t, g.name)
	if err := g.bulk(g.client, rows...).Exec(g.asA); !errors.Is(err, privacy.Deny) {
		t.Errorf("bulk create: %v", err)
	}
	g.unchanged(t, before)
	rows[1] = g.row(t, g.a)
	rows[1].tenant = nil
	before = g.rows(t, g.name)
	g.must(t, g.bulk(g.client, rows...).Exec(g.asA))
	if after := g.rows(t, g.name); len(after[g.a]) != len(before[g.a])+3 {
		t.Errorf("%d rows and three more make %d", len(before[g.a]), len(after[g.a]))
	}
}

func (g guard) update(t *testing.T) {
	before := g.rows(t, g.name)
	if err := g.updateOne(g.client, g.theirs).Exec(g.asA); !ent.IsNotFound(err) {
		t.Errorf("update by id: %v", err)
	}
	if n, err := g.access.update(g.asA, g.client, sql.FieldEQ("tenant_id", g.b)); n != 0 || err != nil {
		t.Errorf("update of all of the other tenant: %d rows, %v", n, err)
	}
	g.unchanged(t, before)
	g.must(t, g.updateOne(g.client, g.mine).Exec(g.asA))
	if n, err := g.access.update(g.asA, g.client, everything); n != len(before[g.a]) || err != nil {
		t.Errorf("update of everything: %d rows of %d, %v", n, len(before[g.a]), err)
	}
	if after := g.rows(t, g.name); !slices.Equal(after[g.b], before[g.b]) || slices.Equal(after[g.a], before[g.a]) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func (g guard) delete(t *testing.T) {
	before := g.rows(t, g.name)
	if err := g.deleteOne(g.client, g.theirs).Exec(g.asA); !ent.IsNotFound(err) {
		t.Errorf("delete by id: %v", err)
	}
	if n, err := g.access.delete(g.asA, g.client, sql.FieldEQ("tenant_id", g.b)); n != 0 || err != nil {
		t.Errorf("delete of all of the other tenant: %d rows, %v", n, err)
	}
	g.unchanged(t, before)
	g.must(t, g.deleteOne(g.client, g.mine).Exec(g.asA))
	if n, err := g.access.delete(g.asA, g.client, everything); n != len(before[g.a])-1 || err != nil {
		t.Errorf("delete of everything: %d rows of %d, %v", n, len(before[g.a])-1, err)
	}
	if after := g.rows(t, g.name); len(after[g.a]) != 0 || !slices.Equal(after[g.b], before[g.b]) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func (g guard) noPrincipal(t *testing.T) {
	named, unnamed := g.row(t, g.a), g.row(t, g.a)
	unnamed.tenant = nil
	before := g.rows(t, g.name)
	for who, ctx := range map[string]context.Context{
		"no principal":           t.Context(),
		"zero principal":         principal.NewContext(t.Context(), &principal.Principal{Superuser: true}),
		"system without reason":  principal.System(t.Context(), ""),
		"principal of no tenant": principal.NewContext(t.Context(), principal.InTenant(uuid.Nil)),
	} {
		_, updated := g.access.update(ctx, g.client, everything)
		_, deleted := g.access.delete(ctx, g.client, everything)
		for what, err := range map[string]error{
			"query":       g.read(g.client).Scan(ctx, &[]uuid.UUID{}),
			"create":      g.access.create(g.client, named).Exec(ctx),
			"unnamed":     g.access.create(g.client, unnamed).Exec(ctx),
			"bulk create": g.bulk(g.client, named, unnamed).Exec(ctx),
			"update one":  g.updateOne(g.client, g.mine).Exec(ctx),
			"delete one":  g.deleteOne(g.client, g.mine).Exec(ctx),
			"update":      updated,
			"delete":      deleted,
		} {
			if !errors.Is(err, privacy.Deny) {
				t.Errorf("%s: %s: %v", who, what, err)
			}
		}
	}
	g.unchanged(t, before)
}

func (g guard) unchanged(t *testing.T, before map[uuid.UUID][]string) {
	t.Helper()
	if after := g.rows(t, g.name); !maps.EqualFunc(before, after, slices.Equal) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func everything(*sql.Selector) {}

// world is a database with the tenants a and b.
type world struct {
	db          *database.DB
	client      *ent.Client
	a, b        uuid.UUID
	system, asA context.Context
}

func newWorld(t *testing.T, db *database.DB) world {
	t.Helper()
	system := principal.System(t.Context(), "test")
	a := db.Client.Tenant.Create().SetSlug("tenant-a").SetName("A").SaveX(system).ID
	b := db.Client.Tenant.Create().SetSlug("tenant-b").SetName("B").SaveX(system).ID
	asA := principal.NewContext(t.Context(), principal.InTenant(a))
	return world{db: db, client: db.Client, a: a, b: b, system: system, asA: asA}
}

// row creates a user and a role in the tenant, and returns a row that refers to them.
func (w world) row(t *testing.T, tenant uuid.UUID) row {
	t.Helper()
	user := row{id: uuid.New(), tenant: &tenant}
	role := row{id: uuid.New(), tenant: &tenant}
	w.must(t, newUser(w.client, user).Exec(w.system))
	w.must(t, newRole(w.client, role).Exec(w.system))
	return row{id: uuid.New(), user: user.id, role: role.id, tenant: &tenant}
}

// rows returns the rows of the table by tenant, read with SQL, without client and policies.
func (w world) rows(t *testing.T, table string) map[uuid.UUID][]string {
	t.Helper()
	rows, err := w.db.SQL.QueryContext(t.Context(), "SELECT tenant_id, * FROM "+table)
	w.must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	w.must(t, err)
	found := map[uuid.UUID][]string{}
	for rows.Next() {
		var tenant uuid.UUID
		values := make([]any, len(columns))
		targets := []any{&tenant}
		for i := range values[1:] {
			targets = append(targets, &values[i+1])
		}
		w.must(t, rows.Scan(targets...))
		found[tenant] = append(found[tenant], fmt.Sprintf("%q", values[1:]))
	}
	w.must(t, rows.Err())
	for _, lines := range found {
		slices.Sort(lines)
	}
	return found
}

func (world) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

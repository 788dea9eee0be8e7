package schema_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestEdge_notLoadedIsAnError(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		r := w.row(t, w.a)
		users := w.client.User.Query
		plain := users().OnlyX(w.asA)
		if _, err := plain.Edges.RolesOrErr(); !ent.IsNotLoaded(err) {
			t.Errorf("roles: %v", err)
		}
		if _, err := plain.Edges.TenantOrErr(); !ent.IsNotLoaded(err) {
			t.Errorf("tenant: %v", err)
		}
		// An empty list of roles differs from roles that were not loaded.
		withRoles := users().WithRoles().OnlyX(w.asA)
		if roles, err := withRoles.Edges.RolesOrErr(); err != nil || len(roles) != 0 {
			t.Errorf("roles of a user without: %v, %v", roles, err)
		}
		if _, err := withRoles.Edges.TenantOrErr(); !ent.IsNotLoaded(err) {
			t.Errorf("tenant beside roles: %v", err)
		}
		w.must(t, newAssignment(w.client, r).Exec(w.asA))
		both := users().WithRoles().WithTenant().OnlyX(w.asA)
		if roles, err := both.Edges.RolesOrErr(); err != nil || len(roles) != 1 || roles[0].ID != r.role {
			t.Errorf("roles: %v, %v", roles, err)
		}
		if tenant, err := both.Edges.TenantOrErr(); err != nil || tenant.ID != w.a {
			t.Errorf("tenant: %v, %v", tenant, err)
		}
	})
}

func TestSource_readsEdgesByOrErrAndBypassesNoPolicy(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	checked := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && skipped(path) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || ast.IsGenerated(file) {
			return err
		}
		checked++
		for _, o := range offences(file, ownsSQL(root, path)) {
			t.Errorf("%s: %s", files.Position(o.at), o.what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 10 {
		t.Errorf("only %d files below %s were checked", checked, root)
	}
}

func TestOffences_reportsEachOffence(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		"_ = u.Edges.Roles":                            1,
		"_ = f().Edges.Roles[0].Edges.Tenant":          2,
		"u.Edges.Roles = nil":                          1,
		"e := u.Edges; _ = e.Roles":                    1,
		"_, _ = u.Edges.RolesOrErr()":                  0,
		"type s struct{}":                              0,
		"_ = privacy.DecisionContext(ctx, nil)":        1,
		"_ = privacy.Allow":                            1,
		"_ = privacy.AlwaysAllowRule()":                1,
		"_ = privacy.Denyf(\"no\")":                    0,
		"c.User.Create().OnConflictColumns(\"id\")":    1,
		"c.User.CreateBulk(us...).OnConflict().Exec()": 1,
		"sql.Dialect(d).Insert(t).OnConflict(o)":       0,
		"rows, err := client.QueryContext(ctx, q)":     1,
		"_, err := tx.ExecContext(ctx, q)":             1,
		"db.SQL.QueryRowContext(ctx, q)":               1,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {"+source+"}",
			parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if found := offences(file, false); len(found) != want {
			t.Errorf("%s: %v", source, found)
		}
	}
}

type offence struct {
	at   token.Pos
	what string
}

// ownsSQL reports whether a file may have SQL of its own, which no policy filters: the database
// package, the tools, the test harness, and files with a statement that ent has no builder for,
// which names its tenant itself or reads a table without tenants.
func ownsSQL(root, path string) bool {
	inside, err := filepath.Rel(root, path)
	if err != nil {
		return false
	}
	inside = filepath.ToSlash(inside)
	for _, folder := range []string{"internal/database/", "internal/tools/", "internal/apitest/"} {
		if strings.HasPrefix(inside, folder) {
			return true
		}
	}
	return slices.Contains([]string{
		"internal/oauth/insert_identity.go", "internal/ratelimit/counters.go", "internal/ratelimit/network_limit.go",
		"internal/roles/system.go",
		"internal/sessions/rotate.go", "internal/sessions/start.go",
	}, inside)
}

// offences returns accesses that the compiler allows and the policies do not cover.
func offences(file *ast.File, ownsSQL bool) (found []offence) {
	byOrErr := map[*ast.SelectorExpr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			// The outer selector comes first: u.Edges.RolesOrErr before u.Edges.
			if edges, ok := n.X.(*ast.SelectorExpr); ok && strings.HasSuffix(n.Sel.Name, "OrErr") {
				byOrErr[edges] = true
			}
			switch name := n.Sel.Name; {
			case name == "Edges" && !byOrErr[n]:
				found = append(found, offence{n.Sel.Pos(), "an edge that was not loaded reads as nil: use its OrErr"})
			case strings.HasPrefix(name, "OnConflict") && calls(n.X, "Create", "CreateBulk", "MapCreateBulk"):
				found = append(found, offence{n.Sel.Pos(),
					"an upsert changes rows of other tenants: no policy filters it"})
			case !ownsSQL && slices.Contains([]string{"ExecContext", "QueryContext", "QueryRowContext"}, name):
				found = append(found, offence{n.Sel.Pos(), "raw SQL reaches every tenant: no policy filters it"})
			case isPackage(n.X, "privacy") && strings.Contains(name, "Allow"):
				found = append(found, offence{n.Sel.Pos(), "an Allow ends the evaluation before the tenant's rules"})
			}
		case *ast.Ident:
			if n.Name == "DecisionContext" {
				found = append(found, offence{n.Pos(), "the only way around the policies is principal.System"})
			}
		}
		return true
	})
	return found
}

// calls reports whether the chain of calls that ends in e calls one of the methods.
func calls(e ast.Expr, methods ...string) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(methods, s.Sel.Name) {
			found = true
		}
		return !found
	})
	return found
}

func isPackage(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// skipped reports whether the go command, too, leaves the folder out of the module.
func skipped(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		t.Fatal(err)
	}
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	entschema "entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"

	entmigrate "tenantry/ent/migrate"
	"tenantry/internal/database/dbtest"
)

const nextVersion = "20990101000000"

// copied copies the folders to a temporary folder, and opens databases to replay them in.
func copied(t *testing.T) (root string, all []*folder) {
	t.Helper()
	root = t.TempDir()
	if err := os.CopyFS(root, os.DirFS(filepath.Join("..", "..", "..", "migrations"))); err != nil {
		t.Fatal(err)
	}
	all, err := open(t.Context(), root, dbtest.EmptyPostgres(t).URL+"&search_path=public")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range all {
			f.close()
		}
	})
	return root, all
}

// withColumn returns the tables with an additional column in one table.
func withColumn(name string, column *entschema.Column) []*entschema.Table {
	tables := slices.Clone(entmigrate.Tables)
	for i, t := range tables {
		if t.Name == name {
			changed := *t
			changed.Columns = append(slices.Clone(t.Columns), column)
			tables[i] = &changed
		}
	}
	return tables
}

func written(t *testing.T, root, name string) map[string]string {
	t.Helper()
	content := map[string]string{}
	for _, folder := range folders {
		read, err := os.ReadFile(filepath.Join(root, folder, nextVersion+"_"+name+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		content[folder] = string(read)
	}
	return content
}

// The files are the same on every version of PostgreSQL. For Postgres they equal those of the Atlas
// CLI v0.13.1. For SQLite that CLI rebuilds the table, which drops its triggers.
func TestDiff_writesOneVersionToBothFolders(t *testing.T) {
	t.Parallel()
	root, all := copied(t)
	tables := withColumn("tenants", &entschema.Column{Name: "note", Type: field.TypeString, Default: "it's", Size: 200})
	if err := diff(t.Context(), all, tables, nextVersion, "add_note", new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{
		"postgres": "-- Modify \"tenants\" table\nALTER TABLE \"tenants\" ADD COLUMN \"note\" character varying NOT " +
			"NULL DEFAULT 'it''s';\n",
		"sqlite": "-- Add column \"note\" to table: \"tenants\"\nALTER TABLE `tenants` ADD COLUMN `note` text NOT " +
			"NULL DEFAULT 'it''s';\n",
	} {
		if got := written(t, root, "add_note")[folder]; got != want {
			t.Errorf("%s: %q, want %q", folder, got, want)
		}
	}
	if err := validate(t.Context(), root, all); err != nil {
		t.Errorf("what diff has written: %v", err)
	}
	if err := drift(t.Context(), all, tables); err != nil {
		t.Errorf("after diff: %v", err)
	}
}

func TestDiff_changeOfOneDatabaseIsVersionOfBoth(t *testing.T) {
	t.Parallel()
	root, all := copied(t)
	hand := "ALTER TABLE `tenants` ADD COLUMN `note` text NULL;\n"
	for _, folder := range folders {
		content := hand
		if folder == "postgres" {
			content = "SELECT 1;\n"
		}
		if err := os.WriteFile(filepath.Join(root, folder, "20980101000000_by_hand.sql"), []byte(content),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := hash(root); err != nil {
		t.Fatal(err)
	}
	tables := withColumn("tenants", &entschema.Column{Name: "note", Type: field.TypeString, Nullable: true})
	if err := diff(t.Context(), all, tables, nextVersion, "add_note", new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	if got := written(t, root, "add_note"); got["sqlite"] != unchanged ||
		!strings.Contains(got["postgres"], "ADD COLUMN") {
		t.Errorf("%q", got)
	}
	if err := validate(t.Context(), root, all); err != nil {
		t.Error(err)
	}
}

func TestDrift_missingColumnAndSurplusTableAreErrors(t *testing.T) {
	t.Parallel()
	_, all := copied(t)
	if err := drift(t.Context(), all, entmigrate.Tables); err != nil {
		t.Fatalf("the folders: %v", err)
	}
	missing := withColumn("tenants", &entschema.Column{Name: "note", Type: field.TypeString, Nullable: true})
	surplus := slices.DeleteFunc(slices.Clone(entmigrate.Tables), func(t *entschema.Table) bool {
		return t.Name == "throttles"
	})
	for want, tables := range map[string][]*entschema.Table{"ADD COLUMN": missing, "DROP TABLE": surplus} {
		err := drift(t.Context(), all, tables)
		if err == nil || strings.Count(err.Error(), want) != len(folders) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestValidate_refusesEditedFileAndUnequalVersions(t *testing.T) {
	t.Parallel()
	root, all := copied(t)
	if err := validate(t.Context(), root, all); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(root, "sqlite", nextVersion+"_more.sql")
	if err := os.WriteFile(name, []byte("SELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := validate(t.Context(), root, all); err == nil || !strings.Contains(err.Error(), "hash") {
		t.Errorf("a file that is not in atlas.sum: %v", err)
	}
	if err := hash(root); err != nil {
		t.Fatal(err)
	}
	if err := validate(t.Context(), root, all); err == nil || !strings.Contains(err.Error(), "different versions") {
		t.Errorf("a version of one folder: %v", err)
	}
}

func TestLint_lastMigrationMayNeitherDestroyNorDependOnData(t *testing.T) {
	t.Parallel()
	root, all := copied(t)
	for name, test := range map[string]struct{ sql, want string }{
		"nullable column":         {"ALTER TABLE tenants ADD COLUMN note text NULL;", ""},
		"dropped table":           {"DROP TABLE throttles;", "destructive"},
		"column without default":  {"ALTER TABLE tenants ADD COLUMN note text NOT NULL;", "data_depend"},
		"dropped column":          {"ALTER TABLE tenants DROP COLUMN settings;", "destructive"},
		"excused statement":       {"-- atlas:nolint destructive\nDROP TABLE throttles;", ""},
		"excused file":            {"-- atlas:nolint DS102\n\nDROP TABLE throttles;", ""},
		"excused by another rule": {"-- atlas:nolint data_depend\nDROP TABLE throttles;", "destructive"},
	} {
		for _, f := range all {
			if f.name == "sqlite" && test.want == "data_depend" {
				continue // SQLite itself refuses such a column
			}
			if err := f.dir.WriteFile(nextVersion+"_x.sql", []byte(test.sql+"\n")); err != nil {
				t.Fatal(err)
			}
			err := lint(t.Context(), []*folder{f})
			if got := err != nil; got != (test.want != "") || got && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s on %s: %v", name, f.name, err)
			}
			if err := os.Remove(filepath.Join(root, f.name, nextVersion+"_x.sql")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRun_withoutPostgresWritesNothing(t *testing.T) {
	t.Parallel()
	root, _ := copied(t)
	err := run(t.Context(), root, "", []string{"diff", "x"}, new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "ATLAS_DEV_URL") {
		t.Errorf("diff: %v", err)
	}
	dir, err := migrate.NewLocalDir(filepath.Join(root, "sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate.Validate(dir); err != nil {
		t.Error(err)
	}
}

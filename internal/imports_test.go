package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "tenantry"

const (
	// testOnly is above every level: only tests and tools may import such a package.
	testOnly = 100
	// apiTest may import the other packages of tests.
	apiTest = testOnly + 1
	// tool may import anything.
	tool = apiTest + 1
)

// layers are the levels of the design: a package may import only packages of lower levels.
var layers = map[string]layer{
	"internal/batch":      {level: -1},
	"internal/weburl":     {level: -1},
	"migrations":          {level: 0},
	"internal/config":     {level: 0},
	"internal/principal":  {level: 0},
	"internal/problem":    {level: 0},
	"internal/api":        {level: 0},
	"internal/cache":      {level: 0},
	"internal/keyring":    {level: 0},
	"internal/names":      {level: 0},
	"internal/load":       {level: 0},
	"internal/network":    {level: 0},
	"internal/outcomes":   {level: 0},
	"ent/schema/settings": {level: 0},

	"ent":        {level: 1, only: []string{"internal/names", "internal/principal"}},
	"ent/schema": {level: 1, only: []string{"internal/names", "internal/principal"}},

	"internal/database":  {level: 2},
	"internal/httpapi":   {level: 2},
	"internal/page":      {level: 2},
	"internal/password":  {level: 2},
	"internal/ratelimit": {level: 3},
	"internal/roles":     {level: 3},
	"internal/signing":   {level: 3},
	"internal/sessions":  {level: 4},
	"internal/auth":      {level: 5},
	"internal/demo":      {level: 4},
	"internal/users":     {level: 6},
	"internal/tenants":   {level: 6},
	"internal/oauth":     {level: 6},
	"internal/server":    {level: 8},
	"internal/cli":       {level: 9},
	"cmd/tenantry":       {level: 10, only: []string{"internal/cli"}},

	"internal/cache/cachetest": {level: testOnly},
	"internal/database/dbtest": {level: testOnly,
		only: []string{"internal/database", "internal/principal", "migrations"}},
	"internal/apitest":   {level: apiTest},
	"docs/quickstart/go": {level: testOnly},
	"internal/faults":    {level: testOnly},
	"internal/tools":     {level: tool},
}

// layer is the level of a package. only are the packages that it may import, if it may not import
// every package of a lower level.
type layer struct {
	level int
	only  []string
}

// layerOf returns the layer of a package, or that of its generated code or tool.
func layerOf(pkg string) (layer, bool) {
	if l, ok := layers[pkg]; ok {
		return l, true
	}
	switch {
	case strings.HasPrefix(pkg, "ent/schema/"):
		return layer{}, false
	case strings.HasPrefix(pkg, "ent/"):
		return layers["ent"], true
	case strings.HasPrefix(pkg, "internal/tools/"):
		return layers["internal/tools"], true
	}
	return layer{}, false
}

// forbidden returns the reason why a package may not import another one of this module, or "" if it
// may.
func forbidden(pkg, imported string) string {
	from, ok := layerOf(pkg)
	if !ok {
		return "the layer table does not know " + pkg
	}
	to, ok := layerOf(imported)
	if !ok {
		return "the layer table does not know " + imported
	}
	// The generated client consists of many packages of one level, which includes the schemas.
	if isEnt(pkg) && isEnt(imported) && from.level > 0 {
		return ""
	}
	if from.only != nil {
		if slices.Contains(from.only, imported) {
			return ""
		}
		return "it may import " + strings.Join(from.only, ", ") + " only"
	}
	if to.level >= from.level && from.level != tool {
		return "imports go down only, from level " + strconv.Itoa(from.level) + " not to " + strconv.Itoa(to.level)
	}
	return ""
}

func isEnt(pkg string) bool { return pkg == "ent" || strings.HasPrefix(pkg, "ent/") }

func TestImports_followTheLayers(t *testing.T) {
	t.Parallel()
	imports := importsOf(t, "..")
	if len(imports) < 10 {
		t.Fatalf("only %d packages were found", len(imports))
	}
	for pkg, imported := range imports {
		if _, ok := layerOf(pkg); !ok {
			t.Errorf("the layer table does not know %s", pkg)
			continue
		}
		for _, other := range imported {
			if why := forbidden(pkg, other); why != "" {
				t.Errorf("%s imports %s: %s", pkg, other, why)
			}
		}
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pkg, imported string
		allowed       bool
	}{
		{"ent/schema", "ent/privacy", true},
		{"ent/user", "ent/schema/settings", true},
		{"ent/schema", "internal/principal", true},
		{"ent", "internal/problem", false},
		{"ent/schema/settings", "ent", false},
		{"ent/schema/settings", "internal/principal", false},
		{"ent/schema/unknown", "ent", false},
		{"internal/problem", "internal/principal", false},
		{"internal/database", "ent/user", true},
		{"internal/database", "migrations", true},
		{"internal/database", "internal/httpapi", false},
		{"internal/httpapi", "internal/database", false},
		{"internal/httpapi", "internal/page", false},
		{"internal/roles", "internal/database", true},
		{"internal/roles", "internal/auth", false},
		{"internal/auth", "internal/roles", true},
		{"internal/auth", "internal/sessions", true},
		{"internal/sessions", "internal/auth", false},
		{"internal/sessions", "internal/signing", true},
		{"internal/ratelimit", "internal/signing", false},
		{"internal/auth", "internal/users", false},
		{"internal/users", "internal/auth", true},
		{"internal/users", "internal/tenants", false},
		{"internal/oauth", "internal/users", false},
		{"internal/server", "internal/oauth", true},
		{"internal/server", "internal/database/dbtest", false},
		{"internal/server", "internal/apitest", false},
		{"internal/cli", "internal/apitest", false},
		{"internal/apitest", "internal/cli", true},
		{"internal/apitest", "internal/database/dbtest", true},
		{"internal/database/dbtest", "internal/apitest", false},
		{"internal/server", "cmd/tenantry", false},
		{"internal/server", "internal/cli", false},
		{"internal/cli", "internal/server", true},
		{"internal/cli", "ent", true},
		{"cmd/tenantry", "internal/cli", true},
		{"cmd/tenantry", "internal/server", false},
		{"cmd/tenantry", "internal/auth", false},
		{"cmd/tenantry", "ent", false},
		{"internal/database/dbtest", "migrations", true},
		{"internal/database/dbtest", "ent", false},
		{"internal/tools/withpostgres", "internal/database/dbtest", true},
		{"internal/utils", "ent", false},
		{"internal/users", "internal/utils", false},
	} {
		if why := forbidden(test.pkg, test.imported); (why == "") != test.allowed {
			t.Errorf("%s imports %s: %q", test.pkg, test.imported, why)
		}
	}
}

// importsOf returns the imports from this module of each package below root that has other files
// than tests.
func importsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
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
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(dir)
		own := imports[pkg]
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if other, ok := strings.CutPrefix(name, module+"/"); ok && !slices.Contains(own, other) {
				own = append(own, other)
			}
		}
		imports[pkg] = own
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// skipped reports whether the go command excludes the folder from the module.
func skipped(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

package problem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tenantry/internal/problem"
)

// constructors are the functions with a code as argument, and the status of their problems.
var constructors = map[string]int{
	"Unauthorized": http.StatusUnauthorized, "Forbidden": http.StatusForbidden, "Conflict": http.StatusConflict,
}

var statuses = map[string]int{
	"StatusBadRequest": http.StatusBadRequest, "StatusNotFound": http.StatusNotFound,
	"StatusMethodNotAllowed":      http.StatusMethodNotAllowed,
	"StatusRequestEntityTooLarge": http.StatusRequestEntityTooLarge,
	"StatusUnsupportedMediaType":  http.StatusUnsupportedMediaType,
	"StatusUnprocessableEntity":   http.StatusUnprocessableEntity,
	"StatusTooManyRequests":       http.StatusTooManyRequests,
	"StatusInternalServerError":   http.StatusInternalServerError,
	"StatusBadGateway":            http.StatusBadGateway, "StatusServiceUnavailable": http.StatusServiceUnavailable,
	"StatusGatewayTimeout": http.StatusGatewayTimeout, "StatusUnauthorized": http.StatusUnauthorized,
	"StatusForbidden": http.StatusForbidden, "StatusConflict": http.StatusConflict,
}

// The test reads the source: the catalogue lists exactly the codes and statuses in it.
func TestCodes_matchSource(t *testing.T) {
	t.Parallel()
	used := map[string][]int{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasSuffix(path, ".gen.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err == nil {
			ast.Inspect(file, func(n ast.Node) bool { collect(t, path, n, used); return true })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range problem.Codes {
		got := slices.Compact(slices.Sorted(slices.Values(used[code.Name])))
		if want := slices.Sorted(slices.Values(code.Statuses)); !slices.Equal(got, want) {
			t.Errorf("%s: the catalogue has the statuses %v, the program %v", code.Name, want, got)
		}
		delete(used, code.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		t.Errorf("%s %v is not in the catalogue: add it to codes.go and run `task gen`", name, used[name])
	}
}

// collect adds the code of a node that creates a problem.
func collect(t *testing.T, path string, n ast.Node, used map[string][]int) {
	switch n := n.(type) {
	case *ast.CallExpr:
		selector, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || len(n.Args) != 2 {
			return
		}
		if from, ok := selector.X.(*ast.Ident); ok && from.Name == "problem" && constructors[selector.Sel.Name] != 0 {
			add(t, path, n.Args[0], constructors[selector.Sel.Name], used)
		}
	case *ast.CompositeLit:
		if of, ok := n.Type.(*ast.SelectorExpr); ok &&
			of.X.(*ast.Ident).Name == "api" { //nolint:forcetypeassert // a package
			return // the document that a problem is rendered as
		}
		if code, status := member(n, "Code"), member(n, "Status"); code != nil && status != nil {
			selector, ok := status.(*ast.SelectorExpr)
			if !ok {
				return // the constructors themselves
			}
			if from, ok := selector.X.(*ast.Ident); !ok || from.Name != "http" {
				return // a copy of another problem
			}
			add(t, path, code, statuses[selector.Sel.Name], used)
		}
	case *ast.ValueSpec:
		if n.Names[0].Name != "standardErrors" {
			return
		}
		for _, element := range n.Values[0].(*ast.CompositeLit).Elts { //nolint:forcetypeassert // it is a list of texts
			status := http.StatusBadRequest
			if code := literal(element); code == "server_error" || code == "temporarily_unavailable" {
				status = http.StatusBadGateway
			}
			add(t, path, element, status, used)
		}
	}
}

func add(t *testing.T, path string, expression ast.Expr, status int, used map[string][]int) {
	t.Helper()
	name := literal(expression)
	if name == "" {
		// refusal of package oauth takes its code from standardErrors.
		if id, ok := expression.(*ast.Ident); !ok || id.Name != "code" {
			t.Errorf("%s: the code is not a literal", path)
		}
		return
	}
	if status == 0 {
		t.Errorf("%s: the test does not know the status of %s", path, name)
	}
	used[name] = append(used[name], status)
}

func literal(expression ast.Expr) string {
	if text, ok := expression.(*ast.BasicLit); ok && text.Kind == token.STRING {
		value, _ := strconv.Unquote(text.Value)
		return value
	}
	return ""
}

func member(composite *ast.CompositeLit, name string) ast.Expr {
	for _, element := range composite.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == name {
				return pair.Value
			}
		}
	}
	return nil
}

package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

// The server needs only the database privileges that docs/migrations.md lists.
func TestRun_documentedGrantsSuffice(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "migrations.md"))
	if err != nil {
		t.Fatal(err)
	}
	grants := regexp.MustCompile(`(?m)^GRANT .*;$`).FindAllString(string(content), -1)
	if len(grants) == 0 {
		t.Fatal("no GRANT in docs/migrations.md")
	}
	c := dbtest.OwnCluster(t)
	dbtest.MigrateUp(t, c.Options)
	c.Exec("CREATE ROLE app LOGIN", "REVOKE ALL ON SCHEMA public FROM PUBLIC")
	c.Exec(grants...)
	opts := c.Options
	opts.URL = strings.Replace(opts.URL, "postgres@", "app@", 1)
	s := apitest.Start(t, opts)
	access, _ := s.Login()
	s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, access, nil))
}

package cli

import (
	"strings"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// The log names the database without its password, so that a wrong one can be noticed.
func TestMigrate_logsDatabase(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		printed, exit := run(t, "migrate", "status", "--data-dir="+opts.DataDir, "--database-url="+opts.URL)
		if exit != 0 || !strings.Contains(printed, `"`+opts.Name()+`"`) || strings.Contains(printed, "://postgres:") {
			t.Errorf("%d: %s", exit, printed)
		}
	})
	const dsn = "postgres://ada:canary@127.0.0.1:1,127.0.0.2:1/app?password=canary&sslmode=disable"
	if got := (database.Options{URL: dsn}).Name(); got != "postgres://127.0.0.1:1,127.0.0.2:1/app" {
		t.Errorf("the name is %s", got)
	}
}

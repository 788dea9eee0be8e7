package dbtest

import (
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
)

// StatementLog runs do and returns the statements that Postgres logged on the pool's database meanwhile, as the server saw
// them. The connections of the pool are replaced by new ones, which begin to log.
func StatementLog(t *testing.T, db *sql.DB, do func()) []string {
	t.Helper()
	s := server(t)
	var name, dir string
	if err := db.QueryRowContext(t.Context(), "SELECT current_database(), current_setting('data_directory')").Scan(&name, &dir); err != nil {
		t.Fatal(err)
	}
	mark := "mark " + rand.Text()
	exec := func(query string) {
		t.Helper()
		if _, err := s.admin.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER DATABASE " + name + " SET log_statement = 'all'")
	reconnect(db)
	read := func() string {
		t.Helper()
		var log string
		path := strings.TrimSuffix(dir, "/data") + "/log"
		if err := s.admin.QueryRowContext(t.Context(), "SELECT pg_read_file($1)", path).Scan(&log); err != nil {
			t.Fatalf("the log of this server cannot be read: %v", err)
		}
		return log
	}
	// The first statement on each connection also prepares it; what counts is what comes after the mark.
	do()
	if _, err := db.ExecContext(t.Context(), "SELECT '"+mark+"'"); err != nil {
		t.Fatal(err)
	}
	do()
	_, after, _ := strings.Cut(read(), mark)
	var statements []string
	ours := false
	for line := range strings.Lines(after) {
		if strings.HasPrefix(line, "\t") { // the statement goes on
			if ours {
				statements[len(statements)-1] += line
			}
			continue
		}
		prefix, statement, found := strings.Cut(line, "execute ")
		if ours = found && strings.Contains(prefix, "["+name+"]"); ours {
			statements = append(statements, statement)
		}
	}
	return statements
}

// reconnect closes the idle connections of a pool.
func reconnect(db *sql.DB) {
	n := db.Stats().MaxOpenConnections
	db.SetMaxIdleConns(0)
	db.SetMaxIdleConns(n)
}

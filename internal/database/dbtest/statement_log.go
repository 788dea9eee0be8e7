package dbtest

import (
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
)

// logLinePrefix is the log_line_prefix from which StatementLog reads the database of a line.
const logLinePrefix = "[%d] "

// StatementLog runs do and returns the statements that Postgres logged for the pool's database
// meanwhile. It replaces the connections of the pool by new ones, which log their statements. The
// test is skipped on a server whose log cannot be read.
func StatementLog(t *testing.T, db *sql.DB, do func()) []string {
	t.Helper()
	s := server(t)
	var name string
	if err := db.QueryRowContext(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	path := logFile(t, s.admin)
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
		if err := s.admin.QueryRowContext(t.Context(), "SELECT pg_read_file($1)", path).Scan(&log); err != nil {
			t.Fatalf("read the log of Postgres: %v", err)
		}
		return log
	}
	// The first statement on each connection is also prepared there. Only the lines after the mark
	// count.
	do()
	if _, err := db.ExecContext(t.Context(), "SELECT '"+mark+"'"); err != nil {
		t.Fatal(err)
	}
	do()
	_, after, _ := strings.Cut(read(), mark)
	var statements []string
	ours := false
	for line := range strings.Lines(after) {
		if strings.HasPrefix(line, "\t") { // the statement continues
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

// logFile returns the path of the server's log, which the server itself reads.
func logFile(t *testing.T, admin *sql.DB) (path string) {
	t.Helper()
	var prefix string
	var size sql.NullInt64
	// A server of StartPostgres logs to a file beside its data folder.
	err := admin.QueryRowContext(t.Context(), `SELECT path, current_setting('log_line_prefix'),
			(pg_stat_file(path, true)).size
		FROM coalesce(pg_current_logfile('stderr'),
			regexp_replace(current_setting('data_directory'), '[^/]*$', 'log')) AS path`).
		Scan(&path, &prefix, &size)
	if err != nil || !size.Valid || prefix != logLinePrefix {
		t.Skipf("NOT TESTED BY THE LOG OF POSTGRES: this server needs logging_collector = on, log_line_prefix = '%s', "+
			"and a superuser in TENANTRY_TEST_POSTGRES_URL (log %q, prefix %q, error %v)", logLinePrefix, path, prefix,
			err)
	}
	return path
}

// reconnect closes the idle connections of a pool.
func reconnect(db *sql.DB) {
	n := db.Stats().MaxOpenConnections
	db.SetMaxIdleConns(0)
	db.SetMaxIdleConns(n)
}

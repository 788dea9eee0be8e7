package apitest

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aclements/go-moremath/stats"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// EachDatabase runs a benchmark on an empty database of each kind.
func EachDatabase(b *testing.B, run func(b *testing.B, opts database.Options)) {
	b.Run("sqlite", func(b *testing.B) { run(b, dbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { run(b, dbtest.Postgres(b)) })
}

// Serve serves a request without a socket, and fails the benchmark unless the response has the
// status.
func Serve(b *testing.B, s *Instance, r *http.Request, status int) Answer {
	w := httptest.NewRecorder()
	s.Server.Handler.ServeHTTP(w, r)
	if w.Code != status {
		b.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
}

// LogFile returns a file for a log.
func LogFile(b *testing.B) *os.File {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	return file
}

// StartQuiet starts a server with default settings, which writes its log to a file.
func StartQuiet(b *testing.B, opts database.Options, change ...func(*config.Config)) *Instance {
	b.Helper()
	s := Start(b, opts, append(change, ProductionHashes, func(c *config.Config) { c.ServerTiming = false })...)
	s.Logs.Redirect(LogFile(b))
	return s
}

// Exec executes a statement.
func Exec(b *testing.B, db *sql.DB, query string, args ...any) {
	b.Helper()
	if _, err := db.ExecContext(b.Context(), query, args...); err != nil {
		b.Fatal(err)
	}
}

// Median returns the median of a sample.
func Median(sample []float64) float64 {
	return stats.Sample{Xs: slices.Sorted(slices.Values(sample)), Sorted: true}.Quantile(0.5)
}

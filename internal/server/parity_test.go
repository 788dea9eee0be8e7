package server_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// S-06: the responses on both databases are equal, except for generated values.
func TestDatabases_yieldEqualResponses(t *testing.T) {
	t.Parallel()
	postgres := transcript(t, dbtest.Postgres(t))
	for i, line := range transcript(t, dbtest.SQLite(t)) {
		if line != postgres[i] {
			t.Errorf("SQLite:\n%s\nPostgres:\n%s", line, postgres[i])
		}
	}
}

// transcript calls every operation that does not end the session, and returns the responses.
func transcript(t *testing.T, opts database.Options) (lines []string) {
	t.Helper()
	s := apitest.Start(t, opts, func(c *config.Config) { c.Signup = config.SignupOpen })
	access, refresh := s.Login()
	for _, o := range declaredOperations(t) {
		if strings.Contains(o.OperationID, "Logout") || o.pattern == "/api/v1/auth/password" {
			continue
		}
		m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t, access: access, refresh: refresh}
		w := &wire{TB: t, address: strings.TrimPrefix(s.URL, "http://")}
		a := w.send(m.draft(o).String())
		body := string(a.Body)
		for _, u := range unequal {
			body = u.pattern.ReplaceAllString(body, u.with)
		}
		lines = append(lines, fmt.Sprintln(o.method, o.pattern, a.Status, a.Header.Get("Content-Type"), body))
	}
	return lines
}

// unequal are the values that differ between two databases.
var unequal = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`), "TIME"},
	{regexp.MustCompile(`"(access_token|device_token|refresh_token|kid|x|y|request_id|authorization_url|` +
		`next_cursor)":"[^"]*"`), `"$1":"…"`},
}

package server_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// injections are parts of SQL statements, for both databases. With the prefixes and the ends of
// injected they are those that a scanner tries.
var injections = []string{
	"OR 1=1", "AND 1=2", "OR '1'='1", "UNION SELECT NULL,NULL", "UNION ALL SELECT password_hash FROM users",
	"; DROP TABLE users",
	"; UPDATE users SET is_superuser = true", "ORDER BY 99", "AND (SELECT pg_sleep(5)) IS NULL", "; SELECT pg_sleep(5)",
	"|| pg_sleep(5)",
	"AND randomblob(500000000) IS NOT NULL", "HAVING 1=1", "LIMIT 1 OFFSET 1", "RETURNING *",
	"AND CAST(version() AS int) = 1",
}

// injected returns strings that would leave a quoted text, a number, an identifier or a pattern.
func injected(n int) (all []string) {
	for _, prefix := range []string{"' ", "') ", `" `, "1 ", "%' ", "\\' ", "a$$ ", "*/ "} {
		for _, part := range injections {
			for _, end := range []string{"--", "/*", "#", "$1"} {
				all = append(all, prefix+part+end)
			}
		}
	}
	rand.New(rand.NewPCG(malformedSeed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}

// H-13: SQL in any parameter or member is text.
func TestSQL_inParametersAndMembersIsText(t *testing.T) {
	t.Parallel()
	number := 6
	if *apitest.Long {
		number = 500
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) {
			c.SignInAddressAttempts, c.SignInAccountAttempts = 1_000_000, 1_000_000
		})
		w := &wire{TB: t, address: strings.TrimPrefix(s.URL, "http://")}
		sent := 0
		for _, o := range declaredOperations(t) {
			access, refresh := s.Login()
			m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t, access: access, refresh: refresh}
			for _, text := range injected(number) {
				for _, d := range m.injectedDrafts(o, text) {
					a := w.send(d.String())
					if sent++; a.Status >= http.StatusInternalServerError {
						t.Errorf("%s %s: %d %s", d.method, d.path+d.query+d.body, a.Status, a.Body)
					}
					if a.Header.Get("Server-Timing") != "" && a.Milliseconds(t) > 2_000 {
						t.Errorf("%s %s: its statements take %g ms", d.method, d.path+d.query+d.body, a.Milliseconds(t))
					}
				}
			}
		}
		if users := s.Rows("users"); users != 1 && users > 1+int64(sent) || !s.Owner().IsSuperuser {
			t.Errorf("%d users", users)
		}
		t.Logf("%d requests", sent)
	})
}

// injectedDrafts returns requests of an operation that have the text in one place each. A password
// is left, since the session would be lost.
func (m *malformer) injectedDrafts(o declared, text string) (all []*draft) {
	for _, p := range o.Parameters {
		d := m.draft(o)
		switch p.Value.In {
		case "query":
			d.query = "?" + p.Value.Name + "=" + url.QueryEscape(text)
		case "path":
			d.path = strings.Replace(o.pattern, "{"+p.Value.Name+"}", url.PathEscape(text), 1)
		default:
			continue
		}
		all = append(all, d)
	}
	for i := range m.draft(o).members {
		d := m.draft(o)
		if d.members[i].name == "new_password" {
			continue
		}
		encoded, err := json.Marshal(text)
		if err != nil {
			m.Fatal(err)
		}
		d.members[i].value = string(encoded)
		d.body = object(d.members)
		all = append(all, d)
	}
	return all
}

package users_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/demo"
)

// BenchmarkListUsers pages through the largest tenant, on Postgres. It reports the time of the
// handler, and the time of the statements of the list and the projection.
func BenchmarkListUsers(b *testing.B) {
	size := demo.Options{Tenants: 300, Users: 30_000, Now: time.Now()}
	deep := 100
	if *apitest.Long {
		size.Tenants, size.Users, deep = 10_000, 1_000_000, 1_000
	}
	s := apitest.Start(b, dbtest.Postgres(b))
	filled, err := demo.Fill(b.Context(), s.DB, size)
	if err != nil {
		b.Fatal(err)
	}
	owner := s.CreateUser(filled.Largest, "second@demo.test", "owner")
	next := ""
	for range deep - 1 {
		_, page, a := s.ListUsers(owner.Access, next)
		if n := a.Statements(b); n != "2" {
			b.Fatalf("a page takes %s statements", n)
		}
		next = "cursor=" + url.QueryEscape(*page.NextCursor)
	}
	for _, query := range []string{
		"", next, "is_active=false", "is_active=true", "email=" + filled.Owner, "q=ada", "q=ada.lovelace.1", "q=nobody",
		"role=member", "role=owner", "role=nobody", "role=member&is_active=false", "role=member&q=ada", "include=roles",
		"total=exact", "total=exact&is_active=false", "total=exact&role=member", "total=exact&q=ada",
	} {
		name := query
		switch query {
		case "":
			name = "page=1"
		case next:
			name = fmt.Sprintf("page=%d", deep)
		}
		b.Run(name, func(b *testing.B) {
			var spent float64
			for b.Loop() {
				r := httptest.NewRequest("GET", "/api/v1/users?"+query, nil)
				r.Header.Set("Authorization", "Bearer "+owner.Access)
				spent += apitest.Serve(b, s, r, http.StatusOK).Milliseconds(b)
			}
			b.ReportMetric(spent/float64(b.N), "sql-ms/op")
		})
	}
}

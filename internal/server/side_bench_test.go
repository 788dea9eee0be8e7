package server_test

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"golang.org/x/crypto/argon2"

	"tenantry/internal/apitest"
	"tenantry/internal/cache/cachetest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

// sideRounds is the number of measurements of each side.
const sideRounds = 5

// BenchmarkSideBySide measures requests per second and their p99 in milliseconds, over sockets,
// against bare gin handlers with the same response and as little work as possible. The sides
// alternate in one run: the speed of a machine drifts, the ratio does not. The clients send
// prepared bytes, and read no more than necessary.
//
//	me           GET /users/me, of a handler that has the response; and of the fair handler, which
//	             also has the server's deadlines, its headers, and a log line for each request
//	me-cold      the same without a cache; bare-lookup, which runs one SELECT, is its reference for p99
//	me-redis     the same with Redis as the only cache, if there is a Redis
//	sign-in      POST /auth/login, of a handler that only computes the hash
//	refresh      POST /auth/refresh, of a handler that runs one UPDATE … RETURNING
//	list, total  50 of 10,000 users, without and with the exact total, of a handler that runs the same
//	             SELECT and encodes its rows
func BenchmarkSideBySide(b *testing.B) {
	sides := slices.Concat(meSides(b), signInSides(b), databaseSides(b))
	for b.Loop() {
		rates, p99s := map[string][]float64{}, map[string][]float64{}
		for range sideRounds {
			for _, s := range sides {
				s.before()
				rate, p99 := measure(b, s)
				rates[s.name], p99s[s.name] = append(rates[s.name], rate), append(p99s[s.name], p99)
			}
		}
		for _, s := range sides {
			b.ReportMetric(apitest.Median(rates[s.name]), s.name+"/s")
			b.ReportMetric(apitest.Median(p99s[s.name]), s.name+"-p99-ms")
			if s.of != "" {
				b.ReportMetric(ratio(rates[s.name], rates[s.of]), s.name+"-of-bare")
			}
		}
		b.ReportMetric(ratio(rates["me"], rates["fair"]), "me-of-fair")
		b.ReportMetric(ratio(p99s["me"], p99s["fair"]), "me-p99-of-fair")
	}
	b.ReportMetric(0, "ns/op")
}

// ratio returns the median of the ratios of each round.
func ratio(of, to []float64) float64 {
	ratios := make([]float64, 0, len(of))
	for round, value := range of {
		ratios = append(ratios, value/to[round])
	}
	return apitest.Median(ratios)
}

func meSides(b *testing.B) []side {
	b.Helper()
	const path, clients = "/api/v1/users/me", 64
	s := apitest.StartQuiet(b, dbtest.Postgres(b))
	access, _ := s.Login()
	answer := s.Expect(http.StatusOK, s.Call("GET", path, access, nil))
	body := answer.Body
	cold := apitest.StartQuiet(b, dbtest.Postgres(b), func(c *config.Config) { c.CacheMemory = 0 })
	address := bare(b, "GET", path, func(c *gin.Context) { c.Data(http.StatusOK, "application/json", body) })
	lookup, session := prepared(b, cold.DB.SQL, "SELECT counter FROM refresh_tokens WHERE user_id = $1 LIMIT 1"),
		cold.Owner().ID
	bareLookup := bare(b, "GET", path, func(c *gin.Context) {
		var counter int
		if err := lookup.QueryRowContext(c, session).Scan(&counter); err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Data(http.StatusOK, "application/json", body)
	})
	sides := []side{
		{"bare", address, "", clients, get(path, access), func() {}},
		{"fair", fair(b, s, path, answer), "bare", clients, get(path, access), func() {}},
		{"me", s.URL, "bare", clients, get(path, access), s.CatchUp},
		{"bare-lookup", bareLookup, "bare", clients, get(path, access), func() {}},
		{"me-cold", cold.URL, "bare", clients, manySessions(cold, path, clients), func() {}},
	}
	if err := cachetest.Missing(); err != nil {
		b.Log("no Redis:", err)
		return sides
	}
	shared := apitest.StartQuiet(b, dbtest.Postgres(b), func(c *config.Config) {
		c.RedisURL, c.CacheMemory = cachetest.Start(b).URL, 0
	})
	return append(sides, side{"me-redis", shared.URL, "bare", clients, manySessions(shared, path, clients),
		shared.WaitUntilShared})
}

// manySessions returns the requests of clients, each with its own session: concurrent reads of
// different sessions are batched, and reads of one session are merged.
func manySessions(s *apitest.Instance, path string, clients int) func(int, []byte) []byte {
	var requests [][]byte
	for range clients {
		access, _ := s.Login()
		requests = append(requests, get(path, access)(0, nil))
	}
	return func(client int, _ []byte) []byte { return requests[client] }
}

func signInSides(b *testing.B) []side {
	b.Helper()
	const path, clients = "/api/v1/auth/login", 4
	s := apitest.StartQuiet(b, dbtest.Postgres(b))
	cores := make(chan struct{}, runtime.GOMAXPROCS(0))
	hash := bare(b, "POST", path, func(c *gin.Context) {
		_, _ = io.Copy(io.Discard, c.Request.Body)
		cores <- struct{}{}
		defer func() { <-cores }()
		c.Data(http.StatusOK, "application/octet-stream",
			argon2.IDKey([]byte(apitest.OwnerPassword), []byte("a salt of 16 byt"), 2, 19456, 1, 32))
	})
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, apitest.OwnerEmail, apitest.OwnerPassword)
	request := post(path, body)
	login := func(int, []byte) []byte { return request }
	return []side{
		{"bare-hash", hash, "", clients, login, func() {}},
		{"sign-in", s.URL, "bare-hash", clients, login, func() {}},
	}
}

// bareUser is a user as the bare handler reads and encodes it.
type bareUser struct {
	ID            uuid.UUID  `json:"id"`
	TenantID      uuid.UUID  `json:"tenant_id"`
	Email         string     `json:"email"`
	FullName      string     `json:"full_name"`
	IsActive      bool       `json:"is_active"`
	IsSuperuser   bool       `json:"is_superuser"`
	EmailVerified *time.Time `json:"email_verified_at"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
}

func databaseSides(b *testing.B) []side {
	b.Helper()
	const clients = 10
	s := apitest.StartQuiet(b, dbtest.Postgres(b))
	access, _ := s.Login()
	tenant := s.Owner().TenantID
	apitest.Exec(b, s.DB.SQL, `INSERT INTO users (id, tenant_id, created_at, updated_at, email, password_version,
			full_name, full_name_folded, is_active, is_superuser)
		SELECT gen_random_uuid(), $1, now(), now(), n || '@acme.test', 1, 'Ada ' || n, 'ada ' || n, true, false
		FROM generate_series(1, 10000) n`, tenant)
	apitest.Exec(b, s.DB.SQL, "ANALYZE users")
	sides := refreshSides(b, s, clients)
	for name, total := range map[string]string{"list": "",
		"total": ", (SELECT count(*) FROM users WHERE tenant_id = $1)"} {
		query := prepared(b, s.DB.SQL, `SELECT id, tenant_id, email, full_name, is_active, is_superuser,
			email_verified_at, created_at, updated_at`+total+`
			FROM users WHERE tenant_id = $1 ORDER BY id DESC LIMIT 51`)
		path := "/api/v1/users"
		handle := func(c *gin.Context) { bareList(c, query, tenant, total != "") }
		if total != "" {
			path += "?total=exact"
		}
		sides = append(sides,
			side{"bare-" + name, bare(b, "GET", "/api/v1/users", handle), "", clients, get(path, access), func() {}},
			side{name, s.URL, "bare-" + name, clients, get(path, access), s.CatchUp})
	}
	return sides
}

// refreshSides are the sides of a refresh, after which each client presents its new token.
func refreshSides(b *testing.B, s *apitest.Instance, clients int) []side {
	b.Helper()
	var tokens, sessions []string
	for range clients {
		_, refresh := s.Login()
		tokens = append(tokens, refresh)
	}
	rows, err := s.DB.SQL.QueryContext(b.Context(), "SELECT id FROM refresh_tokens")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			b.Fatal(err)
		}
		sessions = append(sessions, id)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	answer := s.Expect(http.StatusOK, s.Refresh(tokens[0]))
	tokens[0] = answer.Field(b, "refresh_token")
	var turn atomic.Int64
	rotate := prepared(b, s.DB.SQL, "UPDATE refresh_tokens SET rotated_at = now(), counter = counter WHERE id = $1 "+
		"AND NOT revoked RETURNING counter")
	bareRefresh := bare(b, "POST", "/api/v1/auth/refresh", func(c *gin.Context) {
		_, _ = io.Copy(io.Discard, c.Request.Body)
		var counter int
		if err := rotate.QueryRowContext(c, sessions[int(turn.Add(1))%clients]).Scan(&counter); err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Data(http.StatusOK, "application/json", answer.Body)
	})
	token := regexp.MustCompile(`"refresh_token":"([^"]+)"`)
	refresh := func(client int, answer []byte) []byte {
		if m := token.FindSubmatch(answer); m != nil {
			tokens[client] = string(m[1])
		}
		return post("/api/v1/auth/refresh", `{"refresh_token":"`+tokens[client]+`"}`)
	}
	same := refresh(1, nil)
	return []side{
		{"bare-refresh", bareRefresh, "", clients, func(int, []byte) []byte { return same }, func() {}},
		{"refresh", s.URL, "bare-refresh", clients, refresh, s.CatchUp},
	}
}

// bareList responds with a page of users.
func bareList(c *gin.Context, query *sql.Stmt, tenant uuid.UUID, total bool) {
	rows, err := query.QueryContext(c, tenant)
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	defer rows.Close()
	page := struct {
		Items []bareUser `json:"items"`
		Total int        `json:"total,omitempty"`
	}{}
	for rows.Next() {
		var u bareUser
		into := []any{&u.ID, &u.TenantID, &u.Email, &u.FullName, &u.IsActive, &u.IsSuperuser, &u.EmailVerified,
			&u.CreatedAt, &u.UpdatedAt}
		if total {
			into = append(into, &page.Total)
		}
		if err := rows.Scan(into...); err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		page.Items = append(page.Items, u)
	}
	if rows.Err() != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.JSON(http.StatusOK, page)
}

func prepared(b *testing.B, db *sql.DB, query string) *sql.Stmt {
	b.Helper()
	stmt, err := db.PrepareContext(b.Context(), query)
	if err != nil {
		b.Fatal(err)
	}
	return stmt
}

package server_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

const (
	sideRounds = 5
	sideTime   = 700 * time.Millisecond
)

// side is one of several that are measured in turns, each by a number of clients.
type side struct {
	name, address string
	// of is the side that this one is compared with.
	of      string
	clients int
	// next is the request that a client makes after an answer, none at first.
	next   func(client int, answer []byte) string
	before func()
}

// BenchmarkSideBySide measures requests a second over sockets against bare gin handlers that do as little as can be done for the same answer,
// in turns and in one run: what a machine can do drifts, and the ratio does not. The clients send bytes that are made before, and read no
// more than they must.
//
//	me           GET /users/me, of a handler that has the answer
//	me-cold      the same where nothing is remembered
//	refresh      POST /auth/refresh, of a handler that runs one UPDATE … RETURNING
//	list, total  50 of 10,000 users, of a handler that runs the same SELECT and encodes its rows; without and with the exact total
func BenchmarkSideBySide(b *testing.B) {
	sides := append(meSides(b), databaseSides(b)...)
	for b.Loop() {
		rates := map[string][]float64{}
		for range sideRounds {
			for _, s := range sides {
				s.before()
				rates[s.name] = append(rates[s.name], perSecond(b, s))
			}
		}
		for name := range rates {
			slices.Sort(rates[name])
		}
		median := func(name string) float64 { return rates[name][sideRounds/2] }
		for _, s := range sides {
			b.ReportMetric(median(s.name), s.name+"/s")
			if s.of != "" {
				b.ReportMetric(median(s.name)/median(s.of), s.name+"-of-bare")
			}
		}
	}
	b.ReportMetric(0, "ns/op")
}

// quiet is a server as it is by default, whose log goes nowhere.
func quiet(b *testing.B) *instance {
	b.Helper()
	return start(b, dbtest.Postgres(b), func(c *config.Config) { c.ServerTiming = false })
}

// get is a request that stays the same.
func get(path, access string) func(int, []byte) string {
	request := "GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + access + "\r\n\r\n"
	return func(int, []byte) string { return request }
}

// bare serves one handler of gin's.
func bare(b *testing.B, method, path string, handle gin.HandlerFunc) (address string) {
	b.Helper()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Handle(method, path, handle)
	web := httptest.NewServer(engine)
	b.Cleanup(web.Close)
	return web.URL
}

func meSides(b *testing.B) []side {
	b.Helper()
	const path, clients = "/api/v1/users/me", 64
	s := quiet(b)
	access, _ := s.login()
	body := s.expect(http.StatusOK, s.call("GET", path, access, nil)).body
	deaf := dbtest.Postgres(b)
	deaf.NotifyURL = "postgres://127.0.0.1:1/nobody" // who hears of no changes remembers nothing
	cold := start(b, deaf, func(c *config.Config) { c.ServerTiming = false })
	coldAccess, _ := cold.login()
	address := bare(b, "GET", path, func(c *gin.Context) { c.Data(http.StatusOK, "application/json", body) })
	return []side{
		{"bare", address, "", clients, get(path, access), func() {}},
		{"me", s.url, "bare", clients, get(path, access), func() { s.server.CatchUp(); s.log.Reset() }},
		{"me-cold", cold.url, "bare", clients, get(path, coldAccess), func() { cold.log.Reset() }},
	}
}

// bareUser is a user as a handler that does nothing else reads and encodes one.
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
	s := quiet(b)
	access, _ := s.login()
	tenant := s.owner().TenantID
	statement(b, s.db.SQL, `INSERT INTO users (id, tenant_id, created_at, updated_at, email, password_version, full_name, full_name_folded, is_active, is_superuser)
		SELECT gen_random_uuid(), $1, now(), now(), n || '@acme.test', 1, 'Ada ' || n, 'ada ' || n, true, false FROM generate_series(1, 10000) n`, tenant)
	statement(b, s.db.SQL, "ANALYZE users")
	var tokens, sessions []string
	for range clients {
		_, refresh := s.login()
		tokens = append(tokens, refresh)
	}
	rows, err := s.db.SQL.QueryContext(b.Context(), "SELECT id FROM refresh_tokens")
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
	answer := s.expect(http.StatusOK, s.refresh(tokens[0]))
	tokens[0] = answer.field(b, "refresh_token")
	var turn atomic.Int64
	rotate := prepared(b, s.db.SQL, "UPDATE refresh_tokens SET rotated_at = now(), counter = counter WHERE id = $1 AND NOT revoked RETURNING counter")
	bareRefresh := bare(b, "POST", "/api/v1/auth/refresh", func(c *gin.Context) {
		_, _ = io.Copy(io.Discard, c.Request.Body)
		var counter int
		if err := rotate.QueryRowContext(c, sessions[int(turn.Add(1))%clients]).Scan(&counter); err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Data(http.StatusOK, "application/json", answer.body)
	})
	found := regexp.MustCompile(`"refresh_token":"([^"]+)"`)
	refresh := func(client int, answer []byte) string {
		if m := found.FindSubmatch(answer); m != nil {
			tokens[client] = string(m[1])
		}
		body := `{"refresh_token":"` + tokens[client] + `"}`
		return fmt.Sprintf("POST /api/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	same := refresh(1, nil)
	ready := func() { s.server.CatchUp(); s.log.Reset() }
	sides := []side{
		{"bare-refresh", bareRefresh, "", clients, func(int, []byte) string { return same }, func() {}},
		{"refresh", s.url, "bare-refresh", clients, refresh, ready},
	}
	for name, total := range map[string]string{"list": "", "total": ", (SELECT count(*) FROM users WHERE tenant_id = $1)"} {
		query := prepared(b, s.db.SQL, `SELECT id, tenant_id, email, full_name, is_active, is_superuser, email_verified_at, created_at, updated_at`+
			total+` FROM users WHERE tenant_id = $1 ORDER BY id DESC LIMIT 51`)
		path := "/api/v1/users"
		handle := func(c *gin.Context) { bareList(c, query, tenant, total != "") }
		if total != "" {
			path += "?total=exact"
		}
		sides = append(sides,
			side{"bare-" + name, bare(b, "GET", "/api/v1/users", handle), "", clients, get(path, access), func() {}},
			side{name, s.url, "bare-" + name, clients, get(path, access), ready})
	}
	return sides
}

// bareList answers a page of users.
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
		into := []any{&u.ID, &u.TenantID, &u.Email, &u.FullName, &u.IsActive, &u.IsSuperuser, &u.EmailVerified, &u.CreatedAt, &u.UpdatedAt}
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

func statement(b *testing.B, db *sql.DB, query string, args ...any) {
	b.Helper()
	if _, err := db.ExecContext(b.Context(), query, args...); err != nil {
		b.Fatal(err)
	}
}

// perSecond returns how many requests are answered with 200 in a second.
func perSecond(b *testing.B, s side) float64 {
	b.Helper()
	var answered atomic.Int64
	var clients sync.WaitGroup
	deadline := time.Now().Add(sideTime)
	for client := range s.clients {
		clients.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", strings.TrimPrefix(s.address, "http://"))
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			var body []byte
			for time.Now().Before(deadline) {
				if _, err := io.WriteString(conn, s.next(client, body)); err != nil {
					b.Error(err)
					return
				}
				if body, err = readAnswer(in, body); err != nil {
					b.Errorf("%s: %v", s.name, err)
					return
				}
				answered.Add(1)
			}
			s.next(client, body) // the last answer is not lost
		})
	}
	clients.Wait()
	return float64(answered.Load()) / sideTime.Seconds()
}

// readAnswer reads an answer of 200 into a buffer, and of its headers no more than how long it is: a client that understood them all
// would cost as much as the server.
func readAnswer(in *bufio.Reader, into []byte) ([]byte, error) {
	status, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return nil, fmt.Errorf("answered %q: %w", status, err)
	}
	length, chunked := 0, false
	for {
		header, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(header) <= len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(header, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
		chunked = chunked || bytes.HasPrefix(header, []byte("Transfer-Encoding: chunked"))
	}
	if chunked {
		return io.ReadAll(httputil.NewChunkedReader(in))
	}
	into = slices.Grow(into[:0], length)[:length]
	_, err = io.ReadFull(in, into)
	return into, err
}

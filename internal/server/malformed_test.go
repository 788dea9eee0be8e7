package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tenantry/ent/migrate"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// malformedSeed makes every run send the same requests.
const malformedSeed = 4711

func TestMalformedRequests_areRefusedWithoutEffect(t *testing.T) {
	t.Parallel()
	number := 2_000
	if *apitest.Long {
		number = 10_000
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) {
			c.SignInAddressAttempts, c.Signup = 1_000_000, config.SignupOpen
		})
		access, refresh := s.Login()
		secrets := []string{apitest.OwnerPassword, access, access[strings.LastIndexByte(access, '.')+1:], refresh,
			refresh[strings.LastIndexByte(refresh, '.')+1:]}
		operations := declaredOperations(t)
		before := contents(s)
		w := &wire{TB: t, address: strings.TrimPrefix(s.URL, "http://")}
		for i := range number {
			m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, uint64(i))), TB: t, access: access,
				refresh: refresh}
			text := m.malformed(operations[i%len(operations)])
			a := w.send(text)
			holdRefusal(s, text, a, secrets)
			if t.Failed() {
				t.Fatalf("request %d:\n%.2000q", i, text)
			}
		}
		for name, rows := range contents(s) {
			if !slices.Equal(rows, before[name]) {
				t.Errorf("table %s holds\n%q\nand before\n%q", name, rows, before[name])
			}
		}
		logged := s.Logs.String()
		for _, never := range append(secrets, "panic", `"level":"ERROR"`, `"level":"WARN"`) {
			if strings.Contains(logged, never) {
				t.Errorf("the log contains %q", never)
			}
		}
		for _, o := range operations { // otherwise it would be something else that was refused
			access, refresh := s.Login()
			m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t, access: access, refresh: refresh}
			if a := w.send(m.draft(o).String()); a.Status >= 400 && a.Status != http.StatusNotFound &&
				a.Status != http.StatusConflict &&
				!bytes.Contains(a.Body, []byte(`"invalid_state"`)) &&
				!bytes.Contains(a.Body, []byte(`"invalid_grant"`)) {
				t.Errorf("%s %s is not understood: %d %s", o.method, o.pattern, a.Status, a.Body)
			}
		}
	})
}

// holdRefusal holds an answer against what every refusal promises.
func holdRefusal(s *apitest.Instance, text string, a apitest.Answer, secrets []string) {
	s.Helper()
	if a.Status < 400 || a.Status >= 500 {
		s.Errorf("status %d: %s", a.Status, a.Body)
	}
	for _, secret := range secrets {
		if bytes.Contains(a.Body, []byte(secret)) || strings.Contains(fmt.Sprint(a.Header), secret) {
			s.Errorf("the answer repeats %q: %s", secret, a.Body)
		}
	}
	if a.Header.Get("X-Request-Id") == "" { // net/http could not read it
		if a.Status != http.StatusBadRequest || a.Header.Get("Connection") != "close" {
			s.Errorf("%d, and the connection stays: %s", a.Status, a.Body)
		}
		return
	}
	var document struct{ Code string }
	if err := json.Unmarshal(a.Body, &document); err != nil || document.Code == "" ||
		a.Header.Get("Content-Type") != "application/problem+json" {
		s.Errorf("not a problem: %s", a.Body)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		s.Fatal(err)
	}
	s.CheckContract(r, a)
}

// contents returns every row of every table, but for the attempts that are over.
func contents(s *apitest.Instance) map[string][]string {
	s.Helper()
	if err := s.Server.Limiter.DeleteExpired(s.Context()); err != nil {
		s.Fatal(err)
	}
	all := dump(s)
	if len(all["users"]) != 1 || len(all["refresh_tokens"]) != 1 {
		s.Fatalf("one owner with one session is not in %v", slices.Collect(maps.Keys(all)))
	}
	return all
}

// dump returns every row of every table, sorted.
func dump(s *apitest.Instance) map[string][]string {
	s.Helper()
	all := map[string][]string{}
	for _, table := range migrate.Tables {
		rows, err := s.DB.SQL.QueryContext(s.Context(), "SELECT * FROM "+table.Name)
		if err != nil {
			s.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			s.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				s.Fatal(err)
			}
			var line strings.Builder
			for i, value := range values {
				if text, ok := (*value.(*any)).([]byte); ok {
					value = new(any(string(text)))
				}
				fmt.Fprintf(&line, "%s=%v ", columns[i], *value.(*any))
			}
			all[table.Name] = append(all[table.Name], line.String())
		}
		if err := rows.Err(); err != nil {
			s.Fatal(err)
		}
		slices.Sort(all[table.Name])
	}
	return all
}

// wire sends requests as they stand, over one connection for as long as the server keeps it.
type wire struct {
	testing.TB
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

func (w *wire) send(text string) apitest.Answer {
	w.Helper()
	if w.conn == nil {
		conn, err := net.Dial("tcp", w.address)
		if err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() { conn.Close() })
		w.conn, w.reader = conn, bufio.NewReader(conn)
	}
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.Fatalf("%v while sending %.2000q", err, text)
	}
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		w.Fatalf("%v in answer to %.2000q", err, text)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	// net/http leaves a request that it cannot read, and the reset of the connection may overtake
	// the end of the answer.
	if err != nil && response.Header.Get("X-Request-Id") != "" {
		w.Fatalf("%v in answer to %.2000q", err, text)
	}
	if response.Close {
		w.conn.Close()
		w.conn = nil
		response.Header.Set("Connection", "close") // which ReadResponse takes away
	}
	return apitest.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
}

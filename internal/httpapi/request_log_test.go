package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"tenantry/internal/principal"
)

func TestRequestLog_hasPrincipalOperationAndCost(t *testing.T) {
	t.Parallel()
	a := start(t)
	testRequestLine(t, a)
}

func TestRequestLog_writesLinesWithoutLogger(t *testing.T) {
	t.Parallel()
	lines := &logBuffer{}
	a := start(t, func(s *setup) { s.Lines = lines })
	a.log = lines
	testRequestLine(t, a)
}

func testRequestLine(t *testing.T, a *app) {
	t.Helper()
	got := a.expect(http.StatusOK, "", a.get(mePath+"?include=roles,tenant", "Authorization: Bearer "+goodToken))
	lines := a.lines("request")
	if len(lines) != 1 {
		t.Fatalf("logged %d lines: %v", len(lines), a.log)
	}
	line := lines[0]
	for name, want := range map[string]any{
		"level": "INFO", "operation": "GetMe", "request_id": got.header.Get(requestIDHeader), "method": "GET",
		"path": mePath, "status": 200.0,
		"bytes": float64(len(got.body)), "ip": "127.0.0.1", "statements": 3.0, "sql_us": 1500.0,
		"tenant_id": alice.TenantID.String(), "user_id": alice.UserID.String(),
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if took, ok := line["duration_us"].(float64); !ok || took < 0 {
		t.Errorf("duration_us is %v", line["duration_us"])
	}
	if log := a.log.String(); strings.Contains(log, "include") || strings.Contains(log, goodToken) {
		t.Errorf("a query or a token was logged: %s", log)
	}
}

func TestRequestLog_withoutValidTokenHasNoUser(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{"none": nil, "bad": {"Authorization: Bearer bad"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			a.expect(http.StatusUnauthorized, "", a.get(mePath, headers...))
			lines := a.lines("request")
			if len(lines) != 1 || lines[0]["status"] != 401.0 {
				t.Fatalf("logged %v", lines)
			}
			for _, name := range []string{"tenant_id", "user_id", "system"} {
				if value, ok := lines[0][name]; ok {
					t.Errorf("%s is %v", name, value)
				}
			}
		})
	}
}

func TestRequestLog_hasBypassReasons(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(ctx context.Context, _ any) error {
		principal.System(ctx, "sign-in: the user is not known yet")
		return nil
	}))
	a.expect(http.StatusOK, "", a.login(loginBody))
	lines := a.lines("request")
	if len(lines) != 1 || !reflect.DeepEqual(lines[0]["system"], []any{"sign-in: the user is not known yet"}) {
		t.Errorf("logged %v", lines)
	}
}

func TestRequestLog_isOneLineForAnyPath(t *testing.T) {
	t.Parallel()
	a := start(t)
	a.expect(http.StatusNotFound, "not_found", a.get("/%0a%7b%22msg%22:%22forged%22%7d%00%1b[31m"))
	if n := strings.Count(a.log.String(), "\n"); n != 1 || len(a.lines("forged")) != 0 || len(a.lines("request")) != 1 {
		t.Errorf("logged %q", a.log)
	}
}

// What is written without the logger is what the logger would have written.
func TestRequestLog_directLineEqualsSlogLine(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain": "/api/v1/users/me", "quotes": `a"b\c`, "controls": "a\x00\n\x1b\x7f", "not_utf8": "\xff\xc0",
		"html": "<&>\u2028", "letters": "Zoë 😀", "empty": "",
	} {
		for _, reasons := range [][]string{nil, {text}, {"one", text}} {
			l := line{at: time.Now(), path: text, status: -3, bytes: 3, took: 1234567, sql: 2345, ip: "::1",
				statements: 1, bypassReasons: reasons}
			if len(reasons) > 0 {
				l.requestID, l.tenant, l.trace, l.operation, l.level = text, alice.TenantID, text, "GetMe",
					slog.LevelDebug
			}
			if len(reasons) > 1 {
				l.user = alice.UserID
			}
			var byLogger, byHand bytes.Buffer
			if err := slog.NewJSONHandler(&byLogger, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(t.Context(),
				l.record()); err != nil {
				t.Fatal(err)
			}
			if err := l.write(&byHand); err != nil {
				t.Fatal(err)
			}
			var want, got map[string]any
			if err := json.Unmarshal(byLogger.Bytes(), &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(byHand.Bytes(), &got); err != nil {
				t.Fatalf("%s: %q: %v", name, byHand.String(), err)
			}
			if !reflect.DeepEqual(got, want) || strings.Count(byHand.String(), "\n") != 1 {
				t.Errorf("%s: by the logger\n%sby hand\n%s", name, byLogger.String(), byHand.String())
			}
		}
	}
}

func TestServerTiming(t *testing.T) {
	t.Parallel()
	for name, enabled := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, func(s *setup) { s.ServerTiming = enabled })
			none, three := "", ""
			if enabled {
				none, three = `sql;desc="0 statements";dur=0.000`, `sql;desc="3 statements";dur=1.500`
			}
			logout := a.request(http.MethodPost, "/api/v1/auth/logout", strings.NewReader(`{"refresh_token":"r"}`),
				"Content-Type: application/json")
			for name, test := range map[string]struct {
				answer
				want string
			}{
				"answer":        {a.expect(200, "", a.me()), three},
				"error":         {a.expect(401, "", a.get(mePath)), none},
				"empty":         {a.expect(204, "", a.do(logout)), three},
				"unknown_route": {a.expect(404, "", a.get("/nothing")), none},
			} {
				if value := strings.Join(test.header.Values("Server-Timing"), "|"); value != test.want {
					t.Errorf("%s: Server-Timing %q, want %q", name, value, test.want)
				}
			}
		})
	}
}

// A sign-in carries no token: whom it is of is found out while it is served.
func TestRequestLog_hasUserIdentifiedDuringRequest(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(ctx context.Context, _ any) error {
		principal.NewContext(ctx, principal.InTenant(alice.TenantID))
		principal.NewContext(ctx, alice)
		principal.NewContext(ctx, principal.InTenant(alice.UserID)) // a tenant without a user does not replace it
		return nil
	}))
	a.expect(http.StatusOK, "", a.login(loginBody))
	lines := a.lines("request")
	if len(lines) != 1 || lines[0]["tenant_id"] != alice.TenantID.String() ||
		lines[0]["user_id"] != alice.UserID.String() || lines[0]["operation"] != "Login" {
		t.Errorf("logged %v", lines)
	}
}

func TestRequestLog_hasProbesAtDebugOnly(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]int{slog.LevelDebug: 4, slog.LevelInfo: 1} {
		for name, direct := range map[string]bool{"by_logger": false, "by_hand": true} {
			logged := &logBuffer{}
			a := start(t, func(s *setup) {
				s.Log = slog.New(slog.NewJSONHandler(logged, &slog.HandlerOptions{Level: level}))
				if direct {
					s.Lines = logged
				}
			})
			a.log = logged
			a.get("/healthz")
			a.get("/readyz")
			a.do(a.request(http.MethodHead, "/healthz", http.NoBody))
			a.me()
			if lines := a.lines("request"); len(lines) != want {
				t.Errorf("%s at %s: logged %v", name, level, lines)
			}
		}
	}
}

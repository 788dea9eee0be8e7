package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// goodToken is the one that the tests' Authenticate accepts.
const goodToken = "good"

// canary stands in bodies where a secret would. No error may repeat it.
const canary = "canary-4711"

// loginBody is a body that the contract accepts.
const loginBody = `{"email":"ada@acme.test","password":"` + canary + `"}`

const mePath, loginPath = "/api/v1/users/me", "/api/v1/auth/login"

// errGone is what the tests' Gone takes for a row that is gone.
var errGone = errors.New("gone")

// errOutage is what the tests' Unavailable takes for an outage.
var errOutage = errors.New("connection to db.internal refused")

var alice = &principal.Principal{
	TenantID: uuid.MustParse("01890000-0000-7000-8000-000000000001"),
	UserID:   uuid.MustParse("01890000-0000-7000-8000-000000000002"),
}

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // the other prints every route
	m.Run()
}

// app is a served router. The layers above it do what the test says, and are counted.
type app struct {
	testing.TB
	setup
	url           string
	served        http.Handler
	log           *logBuffer
	authenticated atomic.Int64
	handled       atomic.Int64
}

// setup is what a test may change before the router is built.
type setup struct {
	Options
	// Authenticator verifies the tokens of the security scheme bearer. Those of Options come first.
	Authenticator
	contract *openapi3.T
	// handle is called by every operation, with its request object.
	handle func(ctx context.Context, request any) error
	// engine adds to the router what the layers above would.
	engine func(*gin.Engine)
	// handlers replaces the operations.
	handlers api.StrictServerInterface
}

func start(t testing.TB, changes ...func(*setup)) *app {
	t.Helper()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	a := &app{TB: t, log: &logBuffer{}}
	a.setup = setup{
		contract: contract,
		handle:   func(context.Context, any) error { return nil },
		engine:   func(*gin.Engine) {},
		handlers: handlers{app: a},
		Authenticator: Authenticator{
			Scheme: "bearer", Recognizes: func(string) bool { return true },
			Authenticate: func(_ context.Context, token string) (*principal.Principal, error) {
				if token != goodToken {
					return nil, problem.Unauthorized("invalid_token", "The access token is not valid.")
				}
				return alice, nil
			},
			Authorize: func(ctx context.Context, p *principal.Principal, _ []string) (context.Context, error) {
				return principal.NewContext(ctx, p), nil
			},
		},
		Options: Options{
			HSTS:             "max-age=1",
			Log:              slog.New(slog.NewJSONHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			ActIn:            func(context.Context, string) (context.Context, error) { return nil, problem.NotFound() },
			Unavailable:      func(err error) bool { return errors.Is(err, errOutage) },
			ReferenceDeleted: func(err error) bool { return errors.Is(err, errGone) },
		},
	}
	for _, change := range changes {
		change(&a.setup)
	}
	opts, bearer := a.Options, a.Authenticator
	bearer.Authenticate = func(ctx context.Context, token string) (*principal.Principal, error) {
		a.authenticated.Add(1)
		return a.Authenticate(ctx, token)
	}
	opts.Authenticators = append(opts.Authenticators, bearer)
	engine, err := NewRouter(a.contract, a.handlers, opts)
	if err != nil {
		t.Fatal(err)
	}
	a.engine(engine)
	web := httptest.NewServer(engine)
	t.Cleanup(web.Close)
	a.url, a.served = web.URL, engine
	return a
}

// handling makes every operation do what f does.
func handling(f func(ctx context.Context, request any) error) func(*setup) {
	return func(s *setup) { s.handle = f }
}

func (a *app) request(method, path string, body io.Reader, headers ...string) *http.Request {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), method, a.url+path, body)
	if err != nil {
		a.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func (a *app) get(path string, headers ...string) answer {
	a.Helper()
	return a.do(a.request(http.MethodGet, path, http.NoBody, headers...))
}

// me reads the signed-in user with the good token.
func (a *app) me(headers ...string) answer {
	a.Helper()
	return a.get(mePath, append(headers, "Authorization: Bearer "+goodToken)...)
}

// login posts a JSON body to an operation that takes one.
func (a *app) login(body string, headers ...string) answer {
	a.Helper()
	return a.do(a.request(http.MethodPost, loginPath, strings.NewReader(body),
		append(headers, "Content-Type: application/json")...))
}

// do sends a request and holds what every answer promises.
func (a *app) do(r *http.Request) answer {
	a.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		a.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		a.Fatal(err)
	}
	got := answer{response.StatusCode, response.Header, body}
	a.holdHeaders(got)
	if got.status >= 400 && r.Method != http.MethodHead {
		a.holdProblem(got)
	}
	return got
}

// expectHandled fails the test unless the handlers were called so often.
func (a *app) expectHandled(want int64) {
	a.Helper()
	if n := a.handled.Load(); n != want {
		a.Errorf("%d calls of a handler, want %d", n, want)
	}
}

// lines returns what was logged with a message.
func (a *app) lines(message string) []map[string]any {
	a.Helper()
	var lines []map[string]any
	for line := range strings.Lines(a.log.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			a.Fatalf("logged %q: %v", line, err)
		}
		if members["msg"] == message {
			lines = append(lines, members)
		}
	}
	return lines
}

// logBuffer collects what is logged.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

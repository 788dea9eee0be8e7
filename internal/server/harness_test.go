package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"tenantry/ent"
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/api"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

const (
	ownerEmail    = "owner@acme.test"
	ownerPassword = "correct horse battery staple"
	testSecret    = "a secret for tests that is long enough 4711"
)

// instance is a running server on a database of its own, with the first tenant and its owner.
type instance struct {
	testing.TB
	opts   database.Options
	db     *database.DB
	server *server.Server
	url    string
	log    *logBuffer
	routes routers.Router
	// handOver tells a collector of every span that has ended.
	handOver func()
	// secrets are what was sent and received and must not be in the log.
	secrets *secrets
	// except are the invariants that the test breaks itself.
	except []string
	// stopJobs ends the background jobs of the instance and waits for them.
	stopJobs func()
}

// logBuffer collects what a server logs, of every level.
type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
	flush func()
	// lost says that nothing is collected any more.
	lost bool
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// lose leads what is logged from now on nowhere.
func (b *logBuffer) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = true
}

func (b *logBuffer) String() string {
	if b.flush != nil {
		b.flush()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func testConfig(opts database.Options) config.Config {
	return config.Config{
		PublicURL: "https://id.acme.test", DatabaseURL: opts.URL, DataDir: opts.DataDir, Secret: testSecret,
		AccessTokenTTL: 15 * time.Minute, RefreshTokenTTL: 720 * time.Hour, RefreshIdleTTL: 168 * time.Hour,
		RefreshGrace: 10 * time.Second, SessionsPerUser: 100, JWTAlgorithm: "ES256", KeyRotation: 720 * time.Hour, PasswordHashConcurrency: 2, DefaultTenant: "acme",
		SignInAccountAttempts: 10, SignInAddressAttempts: 100, PasswordHashMemory: 19456, PasswordHashTime: 2,
		CacheMemory: 16384, DBPoolSize: 4, DBMaxOverflow: 4, DBPrepared: true, ServerTiming: true,
		BootstrapEmail: ownerEmail, BootstrapPassword: ownerPassword,
	}
}

// start runs a server on a migrated database.
func start(t testing.TB, opts database.Options, change ...func(*config.Config)) *instance {
	t.Helper()
	return startAt(t, opts, func() time.Time { return time.Now().UTC() }, change...)
}

// startAt is start with a clock.
func startAt(t testing.TB, opts database.Options, clock func() time.Time, change ...func(*config.Config)) *instance {
	t.Helper()
	cfg := testConfig(opts)
	for _, c := range change {
		c(&cfg)
	}
	logs := &logBuffer{}
	log, flush := server.NewLogger(config.Config{LogLevel: slog.LevelDebug}, logs)
	logs.flush = flush
	db, err := database.Open(t.Context(), opts, log)
	if err != nil {
		t.Fatal(err)
	}
	hasher := password.NewHasher(password.HashOptions{
		Concurrency: cfg.PasswordHashConcurrency, MemoryKiB: cfg.PasswordHashMemory, Time: cfg.PasswordHashTime,
	})
	tracer, handOver, err := server.OpenTraces(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	parts := server.Parts{Config: cfg, Secret: []byte(cfg.Secret), DB: db, Hasher: hasher, Clock: clock, Log: log, Tracer: tracer}
	if err := server.Bootstrap(t.Context(), parts, io.Discard); err != nil {
		t.Fatal(err)
	}
	openRegistration(t, db)
	s, err := server.New(t.Context(), parts)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler)
	working, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { s.Work(working) })
	i := &instance{
		TB: t, opts: opts, db: db, server: s, url: web.URL, log: logs, routes: contractRoutes(t), handOver: handOver, secrets: &secrets{},
		stopJobs: func() { stop(); work.Wait() },
	}
	t.Cleanup(func() {
		web.Close()
		i.stopJobs()
		handOver()
		if !t.Failed() {
			holdInvariants(t, db, i.except)
			i.secrets.hold(t, logs.String())
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// openRegistration lets anybody register in the first tenant, unless a test has set otherwise.
func openRegistration(t testing.TB, db *database.DB) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	first := db.Client.Tenant.Query().Where(tenant.Slug("acme")).FirstX(ctx)
	if first.Settings.Registration == "" {
		first.Settings.Registration = settings.RegistrationOpen
		db.Client.Tenant.UpdateOne(first).SetSettings(first.Settings).ExecX(ctx)
	}
}

var contractRoutes = func() func(t testing.TB) routers.Router {
	build := sync.OnceValues(func() (routers.Router, error) {
		openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
		contract, err := api.Contract()
		if err != nil {
			return nil, err
		}
		return gorillamux.NewRouter(contract)
	})
	return func(t testing.TB) routers.Router {
		t.Helper()
		router, err := build()
		if err != nil {
			t.Fatal(err)
		}
		return router
	}
}()

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// field returns a member of the body, "" if it is not there.
func (a answer) field(t testing.TB, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(a.body, &members); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	s, _ := members[name].(string)
	return s
}

// call sends a request and holds the answer against the contract. A body that is not a string is sent as JSON.
func (s *instance) call(method, path, token string, body any) answer {
	s.Helper()
	var reader io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			s.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, reader)
	if err != nil {
		s.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(r)
}

func (s *instance) do(r *http.Request) answer {
	s.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: content}
	s.holdAgainstContract(r, a)
	if s.secrets != nil {
		s.secrets.observe(sent(r), r.Header)
		s.secrets.observe(content, response.Header)
	}
	return a
}

func (s *instance) holdAgainstContract(r *http.Request, a answer) {
	s.Helper()
	plain := r.Clone(s.Context())
	plain.URL.Host, plain.URL.Scheme, plain.Host = "", "", ""
	// HEAD is answered as GET is, without a body.
	head := r.Method == http.MethodHead && a.status != http.StatusMethodNotAllowed
	if head {
		plain.Method = http.MethodGet
	}
	route, parameters, err := s.routes.FindRoute(plain)
	if err != nil {
		return // not an operation of the contract
	}
	err = openapi3filter.ValidateResponse(s.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters, Route: route},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: head},
	})
	if err != nil {
		s.Errorf("%s %s: the answer breaks the contract: %v", r.Method, r.URL.Path, err)
	}
}

// expect fails the test unless the answer has the status, and returns it.
func (s *instance) expect(status int, a answer) answer {
	s.Helper()
	if a.status != status {
		s.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// login signs the owner in and returns the access and the refresh token.
func (s *instance) login() (access, refresh string) {
	s.Helper()
	a := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, ownerPassword)))
	return a.field(s.TB, "access_token"), a.field(s.TB, "refresh_token")
}

// refresh exchanges a refresh token.
func (s *instance) refresh(token string) answer {
	s.Helper()
	return s.call("POST", "/api/v1/auth/refresh", "", map[string]string{"refresh_token": token})
}

// owner returns the first user, and a context that may change it.
func (s *instance) owner() *ent.User {
	s.Helper()
	u, err := s.db.Client.User.Query().Where(user.Email(ownerEmail)).Only(principal.System(s.Context(), "test"))
	if err != nil {
		s.Fatal(err)
	}
	return u
}

// statements is the number of SQL statements that an answer has cost, by its own account.
func (a answer) statements(t testing.TB) string {
	t.Helper()
	_, rest, _ := strings.Cut(a.header.Get("Server-Timing"), `desc="`)
	n, _, found := strings.Cut(rest, " ")
	if !found {
		t.Fatalf("no Server-Timing in %v", a.header)
	}
	return n
}

// milliseconds is how long the statements of an answer have taken, by its own account.
func (a answer) milliseconds(t testing.TB) (ms float64) {
	t.Helper()
	_, duration, _ := strings.Cut(a.header.Get("Server-Timing"), "dur=")
	if _, err := fmt.Sscan(duration, &ms); err != nil {
		t.Fatalf("Server-Timing %v: %v", a.header, err)
	}
	return ms
}

func credentials(email, password string) map[string]string {
	return map[string]string{"tenant": "acme", "email": email, "password": password}
}

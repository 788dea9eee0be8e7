package server_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// collector takes spans as OpenTelemetry's own does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	// told is everything as it came.
	told bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch coltracepb.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &batch) != nil {
			t.Errorf("%s: %q, %v", r.URL.Path, body, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told.Write(body)
		for _, resource := range batch.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// traced tells the collector of a share of the requests.
func (c *collector) traced(sample float64) func(*config.Config) {
	return func(cfg *config.Config) { cfg.OTLPEndpoint, cfg.OTLPSample = c.URL, sample }
}

// named returns the spans of a name.
func (c *collector) named(name string) (spans []*tracepb.Span) {
	for _, s := range c.spans {
		if s.GetName() == name {
			spans = append(spans, s)
		}
	}
	return spans
}

// below returns the spans whose parent is another.
func (c *collector) below(parent *tracepb.Span) (spans []*tracepb.Span) {
	for _, s := range c.spans {
		if bytes.Equal(s.GetParentSpanId(), parent.GetSpanId()) {
			spans = append(spans, s)
		}
	}
	return spans
}

// attribute returns a member of a span as text.
func attribute(s *tracepb.Span, name string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == name {
			if v := a.GetValue(); v.GetStringValue() != "" {
				return v.GetStringValue()
			}
			return strconv.FormatInt(a.GetValue().GetIntValue(), 10)
		}
	}
	return ""
}

// as sends GET /users/me as a part of a caller's trace.
func as(s *apitest.Instance, traceparent, token string) apitest.Answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.URL+"/api/v1/users/me?include=roles",
		http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Traceparent", traceparent)
	r.Header.Set("Tracestate", "caller=grace_at_acme.test")
	return s.Send(r)
}

const (
	callersTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersParent = "00-" + callersTrace + "-00f067aa0ba902b7-"
)

func TestTraces_lead_from_the_request_to_its_statements(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		c, provider := newCollector(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, provider.Configure("corporate"), c.traced(1))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, refresh := s.Login()
		me := s.Expect(http.StatusOK, as(s, callersParent+"01", access))
		renewed := s.Expect(http.StatusOK, s.Refresh(refresh))
		s.Expect(http.StatusUnauthorized,
			s.Call("POST", "/api/v1/auth/login", "",
				apitest.Credentials(apitest.OwnerEmail, "not the password of the owner")))
		for _, path := range []string{"/healthz", "/readyz"} {
			s.Expect(http.StatusOK, s.Call("GET", path, "", nil))
		}
		s.Expect(http.StatusOK, s.Browser().Visit("/api/v1/auth/oauth/corporate/authorize"))
		s.Expect(http.StatusNotFound, s.Call("GET", "/a-path-of-"+apitest.OwnerEmail, "", nil))
		s.FlushTraces()

		spans := c.named("GET /api/v1/users/me")
		if len(spans) != 1 || hex.EncodeToString(spans[0].GetTraceId()) != callersTrace ||
			hex.EncodeToString(spans[0].GetParentSpanId()) != "00f067aa0ba902b7" {
			t.Fatalf("not a part of the caller's trace: %v", spans)
		}
		for name, want := range map[string]string{
			"http.request.method": "GET", "http.route": "/api/v1/users/me", "http.response.status_code": "200",
			"tenantry.operation":  "GetMe",
			"tenantry.request_id": me.Header.Get("X-Request-Id"), "tenantry.user_id": s.Owner().ID.String(),
			"tenantry.tenant_id": s.Owner().TenantID.String(),
		} {
			if got := attribute(spans[0], name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		statements := c.below(spans[0])
		if want := me.Statements(t); strconv.Itoa(len(statements)) != want {
			t.Errorf("%d spans of statements, want %s: %v", len(statements), want, statements)
		}
		for _, statement := range statements {
			if statement.GetName() != "SELECT" || !strings.HasPrefix(attribute(statement, "db.query.text"), "SELECT") ||
				attribute(statement, "db.system.name") == "" {
				t.Errorf("a statement is told as %v", statement)
			}
		}
		if log := s.Logs.String(); !strings.Contains(log, `"trace_id":"`+callersTrace+`"`) {
			t.Error("the line of the request does not name its trace")
		}
		for _, signedIn := range c.named("POST /api/v1/auth/login") {
			if below := c.below(signedIn); !slices.ContainsFunc(below, func(s *tracepb.Span) bool {
				return s.GetName() == "hash a password"
			}) {
				t.Errorf("no hash in a sign-in of %v", below)
			}
		}
		callback := c.named("GET /api/v1/auth/oauth/:provider/callback")
		if len(callback) != 1 || !slices.ContainsFunc(c.below(callback[0]), func(s *tracepb.Span) bool {
			return s.GetName() == "POST" && attribute(s, "server.address") == "127.0.0.1"
		}) {
			t.Errorf("no code was exchanged below %v", callback)
		}
		if unknown := c.named("HTTP"); len(unknown) != 1 ||
			attribute(unknown[0], "http.response.status_code") != "404" {
			t.Errorf("spans of routes that do not exist: %v", unknown)
		}
		for _, s := range c.spans {
			if strings.Contains(s.GetName(), "healthz") || strings.Contains(s.GetName(), "readyz") {
				t.Errorf("a probe is traced: %v", s)
			}
		}
		for _, secret := range []string{access, refresh, renewed.Field(t, "refresh_token"), apitest.OwnerEmail,
			apitest.OwnerPassword, "ada@acme.test", "grace", "not the password"} {
			if bytes.Contains(c.told.Bytes(), []byte(secret)) {
				t.Errorf("%q was told", secret)
			}
		}
	})
}

func TestTraces_are_a_share_and_what_callers_decide(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := apitest.Start(t, dbtest.SQLite(t), c.traced(0))
	access, _ := s.Login()
	s.Expect(http.StatusOK, as(s, callersParent+"00", access))
	s.Expect(http.StatusOK, as(s, "nonsense", access))
	s.Expect(http.StatusOK, as(s, callersParent+"01", access))
	s.FlushTraces()
	if all, kept := len(c.spans), c.named("GET /api/v1/users/me"); len(kept) != 1 || all != 1+len(c.below(kept[0])) {
		t.Errorf("told of %v, want the one that a caller keeps", c.spans)
	}
	if n := strings.Count(s.Logs.String(), "trace_id"); n != 1 {
		t.Errorf("%d lines name a trace", n)
	}
}

func TestCollector_that_hangs_or_is_away_costs_spans_alone(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(over) })
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("spans went elsewhere")
	}))
	t.Cleanup(elsewhere.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	for name, url := range map[string]string{"hangs": hanging.URL, "away": away.URL, "redirects": redirecting.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.Start(t, dbtest.SQLite(t), func(c *config.Config) { c.OTLPEndpoint, c.OTLPSample = url, 1 })
			access, _ := s.Login()
			for range 3000 { // more than may wait
				if a := s.Call("GET", "/api/v1/users/me", access, nil); a.Status != http.StatusOK {
					t.Fatalf("%d: %s", a.Status, a.Body)
				}
			}
			asked := time.Now()
			s.FlushTraces()
			if took := time.Since(asked); took > 10*time.Second {
				t.Errorf("the server would not stop for %s", took)
			}
			if n := strings.Count(s.Logs.String(), "spans were lost"); n > 2 {
				t.Errorf("complained %d times", n)
			}
		})
	}
}

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

// collector receives spans over OTLP/HTTP.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	// received are all request bodies.
	received bytes.Buffer
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
		c.received.Write(body)
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

// traced exports spans to the collector, at a sampling ratio.
func (c *collector) traced(sample float64) func(*config.Config) {
	return func(cfg *config.Config) { cfg.OTLPEndpoint, cfg.OTLPSample = c.URL, sample }
}

// named returns the spans with a name.
func (c *collector) named(name string) (spans []*tracepb.Span) {
	for _, s := range c.spans {
		if s.GetName() == name {
			spans = append(spans, s)
		}
	}
	return spans
}

// below returns the child spans of a span.
func (c *collector) below(parent *tracepb.Span) (spans []*tracepb.Span) {
	for _, s := range c.spans {
		if bytes.Equal(s.GetParentSpanId(), parent.GetSpanId()) {
			spans = append(spans, s)
		}
	}
	return spans
}

// attribute returns an attribute of a span as text.
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

func TestTraces_haveSpansOfRequestAndStatements(t *testing.T) {
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

		checkRequestSpan(t, s, c, me)
		checkOtherSpans(t, c)
		for _, secret := range []string{access, refresh, renewed.Field(t, "refresh_token"), apitest.OwnerEmail,
			apitest.OwnerPassword, "ada@acme.test", "grace", "not the password"} {
			if bytes.Contains(c.received.Bytes(), []byte(secret)) {
				t.Errorf("%q was exported", secret)
			}
		}
	})
}

// checkRequestSpan checks the span of GET /users/me and the spans of its statements.
func checkRequestSpan(t *testing.T, s *apitest.Instance, c *collector, me apitest.Answer) {
	t.Helper()
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
			t.Errorf("the span of a statement is %v", statement)
		}
	}
	if log := s.Logs.String(); !strings.Contains(log, `"trace_id":"`+callersTrace+`"`) {
		t.Error("the line of the request does not name its trace")
	}
}

// checkOtherSpans checks the spans of sign-ins, unknown routes and probes.
func checkOtherSpans(t *testing.T, c *collector) {
	t.Helper()
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
}

func TestTraces_followRatioAndTraceparent(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := apitest.Start(t, dbtest.SQLite(t), c.traced(0))
	access, _ := s.Login()
	s.Expect(http.StatusOK, as(s, callersParent+"00", access))
	s.Expect(http.StatusOK, as(s, "nonsense", access))
	s.Expect(http.StatusOK, as(s, callersParent+"01", access))
	s.FlushTraces()
	if all, kept := len(c.spans), c.named("GET /api/v1/users/me"); len(kept) != 1 || all != 1+len(c.below(kept[0])) {
		t.Errorf("exported %v, want the sampled request of a caller", c.spans)
	}
	if n := strings.Count(s.Logs.String(), "trace_id"); n != 1 {
		t.Errorf("%d lines name a trace", n)
	}
}

func TestTraces_failingCollectorDelaysNoRequest(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(released) })
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("spans were sent to another server")
	}))
	t.Cleanup(other.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	for name, url := range map[string]string{"hangs": hanging.URL, "away": away.URL, "redirects": redirecting.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.Start(t, dbtest.SQLite(t), func(c *config.Config) { c.OTLPEndpoint, c.OTLPSample = url, 1 })
			access, _ := s.Login()
			for range 3000 { // more than the queue holds
				if a := s.Call("GET", "/api/v1/users/me", access, nil); a.Status != http.StatusOK {
					t.Fatalf("%d: %s", a.Status, a.Body)
				}
			}
			started := time.Now()
			s.FlushTraces()
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("the export took %s", took)
			}
			if n := strings.Count(s.Logs.String(), "spans were lost"); n > 2 {
				t.Errorf("warned %d times", n)
			}
		})
	}
}

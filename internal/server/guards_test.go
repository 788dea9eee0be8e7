package server_test

import (
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// The statement budgets that docs/budgets.md publishes, with a cached session.
func TestStatement_budgets(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, func(c *config.Config) { c.Signup, c.NetworkRegistrations = config.SignupOpen, 60 })
		access, refresh := s.login()
		_, live := s.login()
		token := map[string]string{"refresh_token": refresh}
		user := s.join("acme", "ada@acme.test", "")
		s.found("other")
		other := s.join("other", "owner@other.test", "owner").TenantID.String()
		ada, member, custom := user.ID.String(), s.systemRole(user, "member"), s.makeRole(access, "custom", "users:read")
		corporate := s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", nil))).field(t, "id")
		// Those that lead to a provider and back have a test of their own.
		held := []string{"AuthorizeOAuth", "CallBackOAuth", "ExchangeOAuthCode", "LinkOAuth", "PostOAuthCallback", "UnlinkOAuth"}
		for _, test := range []struct {
			method, path string
			body         any
			want         string
		}{
			{"GET", "/api/v1/users/me", nil, "0"},
			{"PATCH", "/api/v1/users/me", map[string]any{"full_name": "Owner"}, "2"},
			{"GET", "/readyz", nil, "0"}, // it asks for an answer, and for nothing else
			{"POST", "/api/v1/auth/register", credentials("registered@acme.test", ownerPassword), "8"},
			{"GET", "/api/v1/users/me?include=tenant", nil, "2"},
			{"GET", "/api/v1/users/me?include=roles", nil, "2"},
			{"POST", "/api/v1/auth/login", credentials(ownerEmail, ownerPassword), "4"},
			{"POST", "/api/v1/auth/login", credentials(ownerEmail, "wrong password"), "2"},
			{"POST", "/api/v1/auth/refresh", token, "1"},
			{"POST", "/api/v1/auth/refresh", token, "2"}, // the token's second use, in the grace window
			{"GET", "/.well-known/jwks.json", nil, "0"},
			{"GET", "/healthz", nil, "0"},
			{"GET", "/api/v1/auth/sessions", nil, "1"},
			{"POST", "/api/v1/auth/logout", map[string]string{"refresh_token": live}, "1"},
			{"DELETE", "/api/v1/auth/sessions/" + uuid.NewString(), nil, "2"},
			{"GET", "/api/v1/users", nil, "1"},
			{"GET", "/api/v1/users?total=exact&q=a&role=member&is_active=true&email=ada@acme.test", nil, "1"},
			{"GET", "/api/v1/users?include=roles", nil, "2"},
			{"GET", "/api/v1/users/" + ada, nil, "1"},
			{"GET", "/api/v1/users/" + ada + "?include=roles,tenant", nil, "3"},
			{"GET", "/api/v1/users/" + ada + "/sessions", nil, "3"},
			{"GET", "/api/v1/users/" + ada + "/identities", nil, "1"},
			{"GET", "/api/v1/users/me/identities", nil, "1"},
			{"POST", "/api/v1/users", map[string]any{"email": "new@acme.test"}, "3"},
			{"PATCH", "/api/v1/users/" + ada, map[string]any{"full_name": "Ada"}, "6"},
			{"PATCH", "/api/v1/users/" + ada, map[string]any{"is_active": false}, "8"},
			{"DELETE", "/api/v1/users/" + ada + "/sessions", nil, "7"},
			{"GET", "/api/v1/tenant", nil, "1"},
			{"PATCH", "/api/v1/tenant", map[string]any{"name": "Acme"}, "3"},
			{"GET", "/api/v1/tenants", nil, "1"},
			{"POST", "/api/v1/signup", map[string]any{"tenant": map[string]any{"slug": "gamma", "name": "Gamma"}, "email": "owner@gamma.test", "password": ownerPassword}, "9"},
			{"POST", "/api/v1/tenants", newTenant("budget"), "4"},
			{"GET", "/api/v1/tenants/" + other, nil, "1"},
			{"PATCH", "/api/v1/tenants/" + other, map[string]any{"name": "Other"}, "3"},
			{"POST", "/api/v1/tenants/" + other + "/suspend", nil, "2"},
			{"POST", "/api/v1/tenants/" + other + "/resume", nil, "1"},
			{"DELETE", "/api/v1/tenants/" + other, nil, "5"},
			{"GET", "/api/v1/permissions", nil, "0"},
			{"POST", "/api/v1/permissions/check", map[string]any{"permissions": []string{"users:read"}}, "0"},
			{"GET", "/api/v1/roles", nil, "1"},
			{"POST", "/api/v1/roles", map[string]any{"name": "budget", "permissions": []string{"users:read"}}, "3"},
			{"GET", "/api/v1/roles/" + custom, nil, "1"},
			{"PATCH", "/api/v1/roles/" + custom, map[string]any{"name": "renamed"}, "5"},
			{"PATCH", "/api/v1/roles/" + custom, map[string]any{"description": "budget"}, "3"},
			{"GET", "/api/v1/auth/oauth/providers", nil, "1"},
			{"GET", providersPath, nil, "1"},
			{"POST", providersPath, provider("budget", nil), "2"},
			{"GET", providersPath + "/" + corporate, nil, "1"},
			{"PATCH", providersPath + "/" + corporate, map[string]any{"label": "Budget"}, "3"},
			{"DELETE", providersPath + "/" + corporate, nil, "3"},
			{"PUT", "/api/v1/users/" + ada + "/roles", map[string]any{"role_ids": []string{custom}}, "8"},
			{"PUT", "/api/v1/users/" + ada + "/roles/" + member, nil, "8"},
			{"DELETE", "/api/v1/users/" + ada + "/roles/" + member, nil, "6"},
			{"DELETE", "/api/v1/roles/" + custom, nil, "3"},
			{"DELETE", "/api/v1/users/" + ada, nil, "6"},
			{"POST", "/api/v1/auth/password", map[string]string{"current_password": ownerPassword, "new_password": ownerPassword}, "7"},
			{"POST", "/api/v1/auth/logout-all", nil, "3"},
			{"POST", "/api/v1/auth/logout", token, "2"}, // of a session that has ended
		} {
			// The session of who asks is remembered; where it is not, it is one more.
			s.server.CatchUp()
			s.call("GET", "/api/v1/users/me", access, nil)
			held = append(held, s.operation(test.method, test.path))
			if got := s.call(test.method, test.path, access, test.body).statements(t); got != test.want {
				t.Errorf("%s %s: %s statements, want %s", test.method, test.path, got, test.want)
			}
		}
		for _, o := range declaredOperations(t) {
			if !slices.Contains(held, o.OperationID) {
				t.Errorf("%s has no budget", o.OperationID)
			}
		}
	})
}

// operation returns the id of the operation that serves a request.
func (s *instance) operation(method, path string) string {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, path, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	route, _, err := s.routes.FindRoute(r)
	if err != nil {
		s.Fatal(err)
	}
	return route.Operation.OperationID
}

// Postgres itself says what was asked of it: one statement, and no table beyond the projection's.
func TestAuth_check_is_one_statement_in_the_log_of_postgres(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	s := start(t, opts)
	access, _ := s.login()
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil)) // prepares the statement
	statements := dbtest.StatementLog(t, s.db.SQL, func() {
		s.server.Forget()
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
	})
	statements = slices.DeleteFunc(statements, func(s string) bool { return strings.Contains(s, `FROM "signing_keys"`) }) // a job's
	if len(statements) != 1 || !strings.Contains(statements[0], "JOIN") || !strings.Contains(statements[0], "refresh_tokens") {
		t.Errorf("%d statements: %q", len(statements), statements)
	}
}

func TestEvery_operation_is_reachable_and_every_route_declared(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t), func(c *config.Config) {
		c.OAuthProviders = []config.OAuthProvider{{Name: "google", Kind: "google", ClientID: "tenantry"}}
	})
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for pattern, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			declared = append(declared, method+" "+pattern)
			var body any
			if operation.RequestBody != nil {
				body = "{}"
			}
			at := strings.ReplaceAll(pattern, "{provider}", "google") + "?redirect_uri=none"
			a := s.call(method, regexp.MustCompile(`{\w+}`).ReplaceAllString(at, uuid.NewString()), "", body)
			public := len(*operation.Security) == 0
			if a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || (!public && body == nil && a.status != http.StatusUnauthorized) {
				t.Errorf("%s %s: %d", method, pattern, a.status)
			}
		}
	}
	for _, route := range s.server.Handler.(*gin.Engine).Routes() {
		if route.Method == http.MethodHead && slices.Contains(declared, "GET "+regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")) {
			continue // with GET
		}
		undeclared := route.Path == "/" || route.Path == "/openapi.json" || route.Path == "/docs" || path.Dir(route.Path) == "/docs"
		pattern := regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")
		if !slices.Contains(declared, route.Method+" "+pattern) && !undeclared {
			t.Errorf("%s %s is not in the contract", route.Method, route.Path)
		}
	}
}

func TestRequest_log_names_request_tenant_and_user_and_no_secret(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, refresh := s.login()
		a := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me?include=roles", access, nil))
		next := s.expect(http.StatusOK, s.refresh(refresh)).field(t, "refresh_token")
		s.call("POST", "/api/v1/auth/register", "", credentials("ada@acme.test", "a password of Ada's"))
		s.call("POST", "/api/v1/auth/login", "", `{"email":"`+ownerEmail+`","password":"mistyped password"`)
		s.call("GET", "/api/v1/users/me", access[:len(access)-1], nil)

		logged := s.log.String()
		owner := s.owner()
		line := ""
		for l := range strings.Lines(logged) {
			if strings.Contains(l, a.header.Get("X-Request-Id")) {
				line = l
			}
		}
		for _, want := range []string{
			`"tenant_id":"` + owner.TenantID.String(), `"user_id":"` + owner.ID.String(), `"status":200`, `"duration_us":`, `"statements":3`,
		} {
			if !strings.Contains(line, want) {
				t.Errorf("%s is not in the line of the request: %s", want, line)
			}
		}
		for _, secret := range []string{ownerPassword, "a password of Ada's", "mistyped password", access, refresh, next, testSecret, *owner.PasswordHash,
			access[strings.LastIndex(access, ".")+1:][:8], refresh[strings.LastIndex(refresh, ".")+1:][:8]} {
			if strings.Contains(logged, secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
	})
}

func TestOutage_is_503_and_ends_by_itself(t *testing.T) {
	t.Parallel()
	proxy, opts := dbtest.ThroughProxy(t, dbtest.Postgres(t))
	s := start(t, opts)
	access, refresh := s.login()
	proxy.Cut()
	for _, a := range []answer{
		s.call("GET", "/api/v1/users/me", access, nil), s.refresh(refresh), s.call("GET", "/readyz", "", nil),
		s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, ownerPassword)),
	} {
		if s.expect(http.StatusServiceUnavailable, a); a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if body := string(a.body); strings.Contains(body, "pq") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("the cause is in the body: %s", body)
		}
	}
	s.expect(http.StatusOK, s.call("GET", "/healthz", "", nil))
	proxy.Restore()
	s.expect(http.StatusOK, s.call("GET", "/readyz", "", nil))
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
	s.expect(http.StatusOK, s.refresh(refresh))
}

// A server that is stopped says nothing at all: no refusal, no end of a connection.
func TestDatabase_that_hangs_is_503(t *testing.T) {
	t.Parallel()
	proxy, opts := dbtest.ThroughProxy(t, dbtest.Postgres(t))
	s := start(t, opts)
	access, _ := s.login()
	resume := proxy.Stall()
	s.expect(http.StatusServiceUnavailable, s.call("GET", "/readyz", "", nil))
	s.expect(http.StatusOK, s.call("GET", "/healthz", "", nil))
	s.expect(http.StatusServiceUnavailable, s.call("GET", "/api/v1/users/me", access, nil))
	resume()
	s.expect(http.StatusOK, s.call("GET", "/readyz", "", nil))
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
}

func TestToken_of_one_tenant_is_nothing_in_another(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		ctx := principal.System(t.Context(), "test")
		other := s.db.Client.Tenant.Create().SetSlug("other").SetName("Other").SaveX(ctx)
		access, _ := s.login()
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/v1/users/me", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+access)
		r.Header.Set("X-Tenant-ID", other.ID.String())
		if got := s.expect(http.StatusOK, s.do(r)).field(t, "tenant_id"); got != s.owner().TenantID.String() {
			t.Errorf("acting in tenant %s", got)
		}
		s.expect(http.StatusBadRequest, s.call("GET", "/api/v1/users/me?tenant=other&tenant_id="+other.ID.String(), access, nil))
		// A session whose user is moved to another tenant behind the policy's back authorises nobody.
		s.db.Client.RefreshToken.Delete().ExecX(ctx)
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", access, nil))
	})
}

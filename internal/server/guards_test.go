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
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// budget is a request with its number of SQL statements.
type budget struct {
	method, path string
	body         any
	want         string
}

// The statement budgets that docs/budgets.md publishes, with a cached session.
func TestOperations_statementBudgets(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) { c.Signup, c.NetworkRegistrations = config.SignupOpen, 60 })
		access, refresh := s.Login()
		_, live := s.Login()
		token := map[string]string{"refresh_token": refresh}
		user := s.CreateUser("acme", "ada@acme.test", "")
		s.CreateTenant("other")
		other := s.CreateUser("other", "owner@other.test", "owner").TenantID.String()
		ada, member, custom := user.ID.String(), s.SystemRole(user, "member"),
			s.CreateRole(access, "custom", "users:read")
		corporate := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", nil))).Field(t, "id")
		budgets := slices.Concat(sessionBudgets(token, live), userBudgets(ada), tenantBudgets(other),
			roleAndProviderBudgets(custom, corporate, ada, member), lastBudgets(token))
		// The operations of a sign-in at a provider have their own test.
		covered := []string{"AuthorizeOAuth", "CallBackOAuth", "ExchangeOAuthCode", "LinkOAuth", "PostOAuthCallback",
			"UnlinkOAuth"}
		for _, b := range budgets {
			// The projection of the caller's session is cached; without it, each takes one more.
			s.CatchUp()
			s.Call("GET", "/api/v1/users/me", access, nil)
			covered = append(covered, operation(s, b.method, b.path))
			if got := s.Call(b.method, b.path, access, b.body).Statements(t); got != b.want {
				t.Errorf("%s %s: %s statements, want %s", b.method, b.path, got, b.want)
			}
		}
		for _, o := range declaredOperations(t) {
			if !slices.Contains(covered, o.OperationID) {
				t.Errorf("%s has no budget", o.OperationID)
			}
		}
	})
}

func sessionBudgets(token map[string]string, live string) []budget {
	return []budget{
		{"GET", "/api/v1/users/me", nil, "0"},
		{"PATCH", "/api/v1/users/me", map[string]any{"full_name": "Owner"}, "2"},
		{"GET", "/readyz", nil, "0"}, // a ping, which is not a statement
		{"POST", "/api/v1/auth/register", apitest.Credentials("registered@acme.test", apitest.OwnerPassword), "8"},
		{"GET", "/api/v1/users/me?include=tenant", nil, "2"},
		{"GET", "/api/v1/users/me?include=roles", nil, "2"},
		{"POST", "/api/v1/auth/login", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword), "4"},
		{"POST", "/api/v1/auth/login", apitest.Credentials(apitest.OwnerEmail, "wrong password"), "2"},
		{"POST", "/api/v1/auth/refresh", token, "1"},
		{"POST", "/api/v1/auth/refresh", token, "2"}, // the token's second use, in the reuse window
		{"GET", "/.well-known/jwks.json", nil, "0"},
		{"GET", "/healthz", nil, "0"},
		{"GET", "/api/v1/auth/sessions", nil, "1"},
		{"POST", "/api/v1/auth/logout", map[string]string{"refresh_token": live}, "1"},
		{"DELETE", "/api/v1/auth/sessions/" + uuid.NewString(), nil, "2"},
	}
}

func userBudgets(ada string) []budget {
	return []budget{
		{"GET", "/api/v1/users", nil, "1"},
		{"GET", "/api/v1/users?total=exact&q=a&role=member&is_active=true&email=ada@acme.test", nil, "1"},
		{"GET", "/api/v1/users?include=roles", nil, "2"},
		{"GET", "/api/v1/users/" + ada, nil, "1"},
		{"GET", "/api/v1/users/" + ada + "?include=roles,tenant", nil, "3"},
		{"GET", "/api/v1/users/" + ada + "/sessions", nil, "3"},
		{"GET", "/api/v1/users/" + ada + "/identities", nil, "1"},
		{"GET", "/api/v1/users/me/identities", nil, "1"},
		{"GET", "/api/v1/users/me?include=identities", nil, "1"},
		{"DELETE", "/api/v1/users/me/identities/google", nil, "1"},
		{"POST", "/api/v1/users", map[string]any{"email": "new@acme.test"}, "3"},
		{"PATCH", "/api/v1/users/" + ada, map[string]any{"full_name": "Ada"}, "6"},
		{"PATCH", "/api/v1/users/" + ada, map[string]any{"is_active": false}, "8"},
		{"DELETE", "/api/v1/users/" + ada + "/sessions", nil, "7"},
	}
}

func tenantBudgets(other string) []budget {
	return []budget{
		{"GET", "/api/v1/tenant", nil, "1"},
		{"PATCH", "/api/v1/tenant", map[string]any{"name": "Acme"}, "3"},
		{"GET", "/api/v1/tenants", nil, "1"},
		{"POST", "/api/v1/signup", map[string]any{"tenant": map[string]any{"slug": "gamma", "name": "Gamma"},
			"email": "owner@gamma.test", "password": apitest.OwnerPassword}, "9"},
		{"POST", "/api/v1/tenants", apitest.TenantBody("budget"), "4"},
		{"GET", "/api/v1/tenants/" + other, nil, "1"},
		{"PATCH", "/api/v1/tenants/" + other, map[string]any{"name": "Other"}, "3"},
		{"POST", "/api/v1/tenants/" + other + "/suspend", nil, "2"},
		{"POST", "/api/v1/tenants/" + other + "/resume", nil, "1"},
		{"DELETE", "/api/v1/tenants/" + other, nil, "5"},
	}
}

func roleAndProviderBudgets(custom, corporate, ada, member string) []budget {
	return []budget{
		{"GET", "/api/v1/permissions", nil, "0"},
		{"POST", "/api/v1/permissions/check", map[string]any{"permissions": []string{"users:read"}}, "0"},
		{"GET", "/api/v1/roles", nil, "1"},
		{"POST", "/api/v1/roles", map[string]any{"name": "budget", "permissions": []string{"users:read"}}, "3"},
		{"GET", "/api/v1/roles/" + custom, nil, "1"},
		{"PATCH", "/api/v1/roles/" + custom, map[string]any{"name": "renamed"}, "5"},
		{"PATCH", "/api/v1/roles/" + custom, map[string]any{"description": "budget"}, "3"},
		{"GET", "/api/v1/auth/oauth/providers", nil, "1"},
		{"GET", apitest.ProvidersPath, nil, "1"},
		{"POST", apitest.ProvidersPath, apitest.ProviderBody("budget", nil), "2"},
		{"GET", apitest.ProvidersPath + "/" + corporate, nil, "1"},
		{"PATCH", apitest.ProvidersPath + "/" + corporate, map[string]any{"label": "Budget"}, "3"},
		{"DELETE", apitest.ProvidersPath + "/" + corporate, nil, "3"},
		{"PUT", "/api/v1/users/" + ada + "/roles", map[string]any{"role_ids": []string{custom}}, "8"},
		{"PUT", "/api/v1/users/" + ada + "/roles/" + member, nil, "8"},
		{"DELETE", "/api/v1/users/" + ada + "/roles/" + member, nil, "6"},
		{"DELETE", "/api/v1/roles/" + custom, nil, "3"},
		{"DELETE", "/api/v1/users/" + ada, nil, "6"},
	}
}

// lastBudgets end the sessions of the caller.
func lastBudgets(token map[string]string) []budget {
	return []budget{
		{"POST", "/api/v1/auth/password", map[string]string{"current_password": apitest.OwnerPassword,
			"new_password": apitest.OwnerPassword}, "7"},
		{"POST", "/api/v1/auth/logout-all", nil, "3"},
		{"POST", "/api/v1/auth/logout", token, "2"}, // of a session that has ended
	}
}

// operation returns the ID of the operation that serves a request.
func operation(s *apitest.Instance, method, path string) string {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, path, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	route, _, err := s.Routes.FindRoute(r)
	if err != nil {
		s.Fatal(err)
	}
	return route.Operation.OperationID
}

func TestRoutes_matchContract(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t), func(c *config.Config) {
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
			a := s.Call(method, regexp.MustCompile(`{\w+}`).ReplaceAllString(at, uuid.NewString()), "", body)
			public := len(*operation.Security) == 0
			if a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed ||
				(!public && body == nil && a.Status != http.StatusUnauthorized) {
				t.Errorf("%s %s: %d", method, pattern, a.Status)
			}
		}
	}
	for _, route := range s.Server.Handler.(*gin.Engine).Routes() {
		if route.Method == http.MethodHead &&
			slices.Contains(declared, "GET "+regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")) {
			continue // with GET
		}
		undeclared := route.Path == "/" || route.Path == "/openapi.json" || route.Path == "/docs" ||
			path.Dir(route.Path) == "/docs"
		pattern := regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")
		if !slices.Contains(declared, route.Method+" "+pattern) && !undeclared {
			t.Errorf("%s %s is not in the contract", route.Method, route.Path)
		}
	}
}

func TestOutage_is503UntilDatabaseReturns(t *testing.T) {
	t.Parallel()
	proxy, opts := dbtest.ThroughProxy(t, dbtest.Postgres(t))
	s := apitest.Start(t, opts)
	access, refresh := s.Login()
	proxy.Cut()
	for _, a := range []apitest.Answer{
		s.Call("GET", "/api/v1/users/me", access, nil), s.Refresh(refresh), s.Call("GET", "/readyz", "", nil),
		s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)),
	} {
		if s.Expect(http.StatusServiceUnavailable, a); a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if body := string(a.Body); strings.Contains(body, "pq") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("the cause is in the body: %s", body)
		}
	}
	s.Expect(http.StatusOK, s.Call("GET", "/healthz", "", nil))
	proxy.Restore()
	s.Expect(http.StatusOK, s.Call("GET", "/readyz", "", nil))
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	s.Expect(http.StatusOK, s.Refresh(refresh))
}

// A stopped process neither refuses nor closes connections.
func TestOutage_hangingDatabaseIs503(t *testing.T) {
	t.Parallel()
	proxy, opts := dbtest.ThroughProxy(t, dbtest.Postgres(t))
	s := apitest.Start(t, opts)
	access, _ := s.Login()
	resume := proxy.Stall()
	s.Expect(http.StatusServiceUnavailable, s.Call("GET", "/readyz", "", nil))
	s.Expect(http.StatusOK, s.Call("GET", "/healthz", "", nil))
	s.Expect(http.StatusServiceUnavailable, s.Call("GET", "/api/v1/users/me", access, nil))
	resume()
	s.Expect(http.StatusOK, s.Call("GET", "/readyz", "", nil))
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
}

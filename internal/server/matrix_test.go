package server_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent/tenant"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// actor is a caller of every operation.
type actor struct {
	name string
	apitest.Account
	slug string
	// refused actors get 401 from every operation that requires a credential.
	refused bool
	// permissions are those of the actor's role, by the catalogue.
	permissions []string
}

func (a actor) may(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(a.permissions, s) })
}

func actors(s *apitest.Instance) []actor {
	s.Helper()
	s.CreateTenant("other")
	s.CreateTenant("suspended")
	admin := slices.DeleteFunc(roles.All(), func(p string) bool {
		return slices.Contains([]string{roles.TenantWrite, roles.ProvidersRead, roles.ProvidersWrite}, p)
	})
	all := []actor{
		{name: "anonymous", refused: true},
		{name: "member", Account: s.CreateUser("acme", "member@acme.test", "member"), slug: "acme"},
		{name: "admin", Account: s.CreateUser("acme", "admin@acme.test", "admin"), slug: "acme", permissions: admin},
		{name: "owner", Account: s.CreateUser("acme", "second@acme.test", "owner"), slug: "acme",
			permissions: roles.All()},
		{name: "owner of another tenant", Account: s.CreateUser("other", "owner@other.test", "owner"), slug: "other",
			permissions: roles.All()},
		{name: "owner of a suspended tenant", Account: s.CreateUser("suspended", "owner@suspended.test", "owner"),
			refused: true},
		{name: "superuser", Account: s.SignIn("acme", s.Owner()), slug: "acme",
			permissions: append(roles.All(), roles.TenantsRead, roles.TenantsWrite)},
	}
	s.DB.Client.Tenant.Update().Where(tenant.Slug("suspended")).SetIsActive(false).ExecX(principal.System(s.Context(),
		"test"))
	return all
}

// objectOf creates the objects that a path names, in the tenant of a user, and returns their IDs.
func objectOf(s *apitest.Instance, pattern string, of apitest.Account, user uuid.UUID) map[string]string {
	s.Helper()
	ctx := principal.NewContext(s.Context(), principal.InTenant(of.TenantID))
	client := s.DB.Client
	created := client.Role.Create().SetName(uuid.NewString()).SaveX(ctx).ID
	ids := map[string]string{"{role_id}": created.String(), "{provider}": "p" + strings.ToLower(uuid.NewString()[:8])}
	switch {
	case strings.HasPrefix(pattern, "/api/v1/roles/"):
		ids["{id}"] = created.String()
	case strings.HasPrefix(pattern, "/api/v1/auth/sessions/"):
		version := client.User.GetX(ctx, user).PasswordVersion
		ids["{id}"] = client.RefreshToken.Create().SetUserID(user).SetPasswordVersion(version).
			SetExpiresAt(time.Now().Add(time.Hour)).SaveX(ctx).ID.String()
	case strings.HasPrefix(pattern, apitest.ProvidersPath):
		ids["{id}"] = client.OAuthProvider.Create().SetName("p" +
			strings.ToLower(uuid.NewString()[:8])).SetKind("oidc").SetLabel("Provider").
			SetClientID("acme").SaveX(ctx).ID.String()
	case strings.HasPrefix(pattern, "/api/v1/auth/oauth/{provider}"):
		client.OAuthProvider.Create().SetName(ids["{provider}"]).SetKind("oauth2").SetLabel("Provider").
			SetClientID("acme").
			SetAuthorizationEndpoint("https://a.example.com/a").SaveX(ctx)
	case strings.HasPrefix(pattern, "/api/v1/users/me/identities/"):
		client.UserIdentity.Create().SetUserID(user).SetProvider(ids["{provider}"]).SetSubject(uuid.NewString()).
			SaveX(ctx)
	case strings.HasPrefix(pattern, "/api/v1/tenants/"):
		slug := "created-" + uuid.NewString()[:18]
		ids["{id}"] = client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(principal.System(s.Context(),
			"test")).ID.String()
	default:
		ids["{id}"] = client.User.Create().SetEmail(uuid.NewString() + "@created.test").SaveX(ctx).ID.String()
	}
	return ids
}

// Every operation, for every actor, on an object of the actor's tenant, of another tenant and on a
// missing one: the contract predicts the response. Responses for a foreign and a missing object are
// equal (CVE-2025-64431).
func TestMatrix_contractPredictsEveryAnswer(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		actors := actors(s)
		foreign := map[string]apitest.Account{"acme": actors[4].Account, "other": actors[3].Account}
		cells := 0
		for _, o := range declaredOperations(t) {
			if len(*o.Security) == 0 {
				continue
			}
			m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t}
			body := m.draft(o).body
			for _, a := range actors {
				if !a.refused && s.Call("GET", "/api/v1/users/me", a.Access, nil).Status == http.StatusUnauthorized {
					a.Account = s.SignIn(a.slug, a.User) // an earlier operation has ended the session
				}
				c := &cell{t, s, o, a, body, &cells}
				c.check(foreign[a.slug])
			}
		}
		t.Logf("%d cells", cells)
	})
}

// cell is an operation and its caller.
type cell struct {
	*testing.T
	s      *apitest.Instance
	o      declared
	caller actor
	body   string
	sent   *int
}

// call sends the request of the operation for the objects with these IDs.
func (c *cell) call(ids map[string]string) apitest.Answer {
	c.Helper()
	path := c.o.pattern
	for name, id := range ids {
		path = strings.ReplaceAll(path, name, id)
	}
	*c.sent++
	if c.body == "" {
		return c.s.Call(c.o.method, path, c.caller.Access, nil)
	}
	return c.s.Call(c.o.method, path, c.caller.Access, c.body)
}

func (c *cell) expect(object string, got apitest.Answer, allowed func(status int) bool) {
	c.Helper()
	if !allowed(got.Status) {
		c.Errorf("%s: %s %s, %s: %d %s", c.caller.name, c.o.method, c.o.pattern, object, got.Status, got.Body)
	}
}

func only(status int) func(int) bool { return func(got int) bool { return got == status } }

// check sends the request for each object. other is a user of another tenant.
func (c *cell) check(other apitest.Account) {
	c.Helper()
	a, o, s := c.caller, c.o, c.s
	missing := map[string]string{"{id}": uuid.NewString(), "{role_id}": uuid.NewString(), "{provider}": "missing"}
	switch {
	case a.refused:
		c.expect("missing", c.call(missing), only(http.StatusUnauthorized))
		return
	case !a.may((*o.Security)[0]["bearer"]):
		c.expect("missing", c.call(missing), only(http.StatusForbidden))
		c.expect("own", c.call(objectOf(s, o.pattern, a.Account, a.ID)), only(http.StatusForbidden))
		return
	}
	if strings.Contains(o.pattern, "{") {
		none, foreign := c.call(missing), c.call(objectOf(s, o.pattern, other, other.ID))
		c.expect("missing", none, only(http.StatusNotFound))
		if !strings.HasPrefix(o.pattern, "/api/v1/tenants/") { // no tenant is foreign to a superuser
			c.expect("foreign", foreign, only(http.StatusNotFound))
			if n, f := withoutID(c.T, none), withoutID(c.T, foreign); n != f {
				c.Errorf("%s: %s %s: the responses for a foreign and a missing object differ:\n%s\n%s",
					a.name, o.method, o.pattern, f, n)
			}
		}
	}
	if o.OperationID == "LinkOAuth" && a.IsSuperuser {
		c.expect("own", c.call(objectOf(s, o.pattern, a.Account, a.ID)),
			only(http.StatusForbidden)) // a tenant's provider is not trusted for superusers
		return
	}
	c.expect("own", c.call(objectOf(s, o.pattern, a.Account, a.ID)), func(status int) bool {
		return status < 500 && !slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden,
			http.StatusNotFound, http.StatusBadRequest}, status)
	})
}

// An operation on objects of other users requires the read or write permission of its resource. The
// matrix would accept an operation without a permission, which every user may call.
func TestOperations_nameTheirPermission(t *testing.T) {
	t.Parallel()
	open := []string{"auth", "permissions", "users/me", "signup"}
	for _, o := range declaredOperations(t) {
		resource, inAPI := strings.CutPrefix(o.pattern, "/api/v1/")
		if !inAPI || slices.ContainsFunc(open, func(own string) bool {
			return resource == own || strings.HasPrefix(resource, own+"/")
		}) {
			continue
		}
		resource, sub, _ := strings.Cut(resource, "/")
		if strings.HasSuffix(sub, "/sessions") {
			resource = "sessions"
		}
		want := resource + ":write"
		if o.method == http.MethodGet {
			want = resource + ":read"
		}
		if len(*o.Security) != 1 || !slices.Equal((*o.Security)[0]["bearer"], []string{want}) {
			t.Errorf("%s %s requires %v, want %s", o.method, o.pattern, *o.Security, want)
		}
	}
}

// withoutID returns a response without its request ID.
func withoutID(t *testing.T, a apitest.Answer) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(a.Body, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "request_id")
	a.Header.Del("X-Request-Id")
	a.Header.Del("Date")
	a.Header.Del("Server-Timing")
	a.Header.Del("Content-Length")
	both, err := json.Marshal([]any{a.Status, a.Header, members})
	if err != nil {
		t.Fatal(err)
	}
	return string(both)
}

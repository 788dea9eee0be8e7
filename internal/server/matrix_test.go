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

// actor is somebody who calls every operation.
type actor struct {
	name string
	apitest.Account
	slug string
	// dead actors are refused wherever a credential is asked for.
	dead bool
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
		{name: "anonymous", dead: true},
		{name: "member", Account: s.CreateUser("acme", "member@acme.test", "member"), slug: "acme"},
		{name: "admin", Account: s.CreateUser("acme", "admin@acme.test", "admin"), slug: "acme", permissions: admin},
		{name: "owner", Account: s.CreateUser("acme", "second@acme.test", "owner"), slug: "acme",
			permissions: roles.All()},
		{name: "owner of another tenant", Account: s.CreateUser("other", "owner@other.test", "owner"), slug: "other",
			permissions: roles.All()},
		{name: "owner of a suspended tenant", Account: s.CreateUser("suspended", "owner@suspended.test", "owner"),
			dead: true},
		{name: "superuser", Account: s.SignIn("acme", s.Owner()), slug: "acme",
			permissions: append(roles.All(), roles.TenantsRead, roles.TenantsWrite)},
	}
	s.DB.Client.Tenant.Update().Where(tenant.Slug("suspended")).SetIsActive(false).ExecX(principal.System(s.Context(),
		"test"))
	return all
}

// objectOf makes what a path names, in the tenant of a person: what the {id} of its resource is,
// and a role.
func objectOf(s *apitest.Instance, pattern string, of apitest.Account, user uuid.UUID) map[string]string {
	s.Helper()
	ctx := principal.NewContext(s.Context(), principal.InTenant(of.TenantID))
	client := s.DB.Client
	made := client.Role.Create().SetName(uuid.NewString()).SaveX(ctx).ID
	ids := map[string]string{"{role_id}": made.String(), "{provider}": "p" + strings.ToLower(uuid.NewString()[:8])}
	switch {
	case strings.HasPrefix(pattern, "/api/v1/roles/"):
		ids["{id}"] = made.String()
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
	case strings.HasPrefix(pattern, "/api/v1/tenants/"):
		slug := "made-" + uuid.NewString()[:18]
		ids["{id}"] = client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(principal.System(s.Context(),
			"test")).ID.String()
	default:
		ids["{id}"] = client.User.Create().SetEmail(uuid.NewString() + "@made.test").SaveX(ctx).ID.String()
	}
	return ids
}

// Every operation, for everybody, on an object of their own tenant, of another and of none: what
// the contract says of who may call it predicts the answer. A foreign object and a missing one
// cannot be told apart (CVE-2025-64431).
func TestMatrix_of_operations_actors_and_objects(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		actors := actors(s)
		foreigner := map[string]apitest.Account{"acme": actors[4].Account, "other": actors[3].Account}
		cells := 0
		for _, o := range declaredOperations(t) {
			if len(*o.Security) == 0 {
				continue
			}
			scopes := (*o.Security)[0]["bearer"]
			m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t}
			body := m.draft(o).body
			for _, a := range actors {
				if !a.dead && s.Call("GET", "/api/v1/users/me", a.Access, nil).Status == http.StatusUnauthorized {
					a.Account = s.SignIn(a.slug, a.User) // an operation before has ended the session
				}
				ask := func(ids map[string]string) apitest.Answer {
					path := o.pattern
					for name, id := range ids {
						path = strings.ReplaceAll(path, name, id)
					}
					cells++
					if body == "" {
						return s.Call(o.method, path, a.Access, nil)
					}
					return s.Call(o.method, path, a.Access, body)
				}
				expect := func(object string, got apitest.Answer, allowed func(status int) bool) {
					t.Helper()
					if !allowed(got.Status) {
						t.Errorf("%s: %s %s, %s: %d %s", a.name, o.method, o.pattern, object, got.Status, got.Body)
					}
				}
				only := func(status int) func(int) bool { return func(got int) bool { return got == status } }
				missing := map[string]string{"{id}": uuid.NewString(), "{role_id}": uuid.NewString(),
					"{provider}": "missing"}
				switch {
				case a.dead:
					expect("missing", ask(missing), only(http.StatusUnauthorized))
					continue
				case !a.may(scopes):
					expect("missing", ask(missing), only(http.StatusForbidden))
					expect("own", ask(objectOf(s, o.pattern, a.Account, a.ID)), only(http.StatusForbidden))
					continue
				}
				if strings.Contains(o.pattern, "{") {
					other := foreigner[a.slug]
					none, foreign := ask(missing), ask(objectOf(s, o.pattern, other, other.ID))
					expect("missing", none, only(http.StatusNotFound))
					if !strings.HasPrefix(o.pattern, "/api/v1/tenants/") { // no tenant is foreign to a superuser
						expect("foreign", foreign, only(http.StatusNotFound))
						if n, f := withoutID(t, none), withoutID(t, foreign); n != f {
							t.Errorf("%s: %s %s tells a foreign object from none:\n%s\n%s", a.name, o.method, o.pattern,
								f, n)
						}
					}
				}
				if o.OperationID == "LinkOAuth" && a.IsSuperuser {
					expect("own", ask(objectOf(s, o.pattern, a.Account, a.ID)),
						only(http.StatusForbidden)) // a tenant's provider speaks for none
					continue
				}
				expect("own", ask(objectOf(s, o.pattern, a.Account, a.ID)), func(status int) bool {
					return status < 500 &&
						!slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
							http.StatusBadRequest}, status)
				})
			}
		}
		t.Logf("%d cells", cells)
	})
}

// What belongs to others needs the permission of its resource: to read it, or to write it. An
// operation that forgets it would be open to every user, and the matrix would take that for
// intended.
func TestEvery_operation_on_what_is_others_names_its_permission(t *testing.T) {
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
			t.Errorf("%s %s asks for %v, not for %s", o.method, o.pattern, *o.Security, want)
		}
	}
}

// withoutID is an answer but for the id of its request.
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

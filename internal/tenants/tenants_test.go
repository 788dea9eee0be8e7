package tenants_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"github.com/google/uuid"

	"tenantry/ent/migrate"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
)

func TestTenants_createdChangedSuspendedAndDeleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		root, _ := first.Login()
		id := checkCreate(t, first, root)
		owner := first.Expect(http.StatusOK, loginBeta(first))
		access, refresh := owner.Field(t, "access_token"), owner.Field(t, "refresh_token")
		checkChange(t, first, root, access, id)
		first.Expect(http.StatusNoContent, first.Call("POST", "/api/v1/tenants/"+id+"/suspend", root, nil))
		second.CatchUp()
		for _, refused := range []apitest.Answer{second.Call("GET", "/api/v1/users/me", access, nil),
			second.Refresh(refresh), loginBeta(second)} {
			second.Expect(http.StatusUnauthorized, refused)
		}
		first.Expect(http.StatusNoContent, first.Call("POST", "/api/v1/tenants/"+id+"/resume", root, nil))
		second.CatchUp()
		second.Expect(http.StatusOK, second.Call("GET", "/api/v1/users/me", access, nil))
		second.Expect(http.StatusOK, second.Refresh(refresh))
		own := first.Owner().TenantID.String()
		for _, a := range []apitest.Answer{first.Call("DELETE", "/api/v1/tenants/"+own, root, nil),
			first.Call("POST", "/api/v1/tenants/"+own+"/suspend", root, nil)} {
			if a.Status != http.StatusConflict || a.Field(t, "code") != "own_tenant" {
				t.Errorf("the caller's own tenant: %d %s", a.Status, a.Body)
			}
		}
		for _, method := range []string{"GET", "DELETE"} {
			first.Expect(http.StatusNotFound, first.Call(method, "/api/v1/tenants/"+uuid.NewString(), root, nil))
		}
	})
}

// loginBeta signs in the owner of the tenant that checkCreate creates.
func loginBeta(s *apitest.Instance) apitest.Answer {
	s.Helper()
	return s.Call("POST", "/api/v1/auth/login", "",
		map[string]string{"tenant": "beta", "email": "owner@beta.test", "password": apitest.OwnerPassword})
}

// checkCreate creates a tenant and returns its ID.
func checkCreate(t *testing.T, s *apitest.Instance, root string) (id string) {
	t.Helper()
	create := func(body map[string]any) apitest.Answer { return s.Call("POST", "/api/v1/tenants", root, body) }
	created := s.Expect(http.StatusCreated, create(apitest.TenantBody("beta")))
	id = created.Field(t, "id")
	if !strings.Contains(string(created.Body), `"registration":"closed"`) ||
		!strings.Contains(string(created.Body), `"password_min_length":15`) {
		t.Errorf("created %s", created.Body)
	}
	s.Expect(http.StatusConflict, create(apitest.TenantBody("beta")))
	weak := apitest.TenantBody("gamma")
	weak["owner"] = map[string]any{"email": "no address", "password": "short"}
	a := s.Expect(http.StatusUnprocessableEntity, create(weak))
	for _, pointer := range []string{"/owner/email", "/owner/password"} {
		if !strings.Contains(string(a.Body), `"`+pointer+`"`) {
			t.Errorf("%s is not named: %s", pointer, a.Body)
		}
	}
	for _, slug := range []string{"admin", "www", "a", "Beta", "-a", "a-", "a_b", strings.Repeat("a", 64), "ä",
		"a.b"} {
		if a := create(apitest.TenantBody(slug)); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", slug, a.Status)
		}
	}
	return id
}

func checkChange(t *testing.T, s *apitest.Instance, root, access, id string) {
	t.Helper()
	for _, refused := range []apitest.Answer{
		s.Call("GET", "/api/v1/tenants", access, nil), s.Call("GET", "/api/v1/tenants/"+id, access, nil),
		s.Call("PATCH", "/api/v1/tenants/"+id, access, map[string]any{"name": "Mine"}),
		s.Call("DELETE", "/api/v1/tenants/"+id, access, nil),
		s.Call("POST", "/api/v1/tenants/"+id+"/suspend", access, nil),
		s.Call("POST", "/api/v1/tenants", access, apitest.TenantBody("delta")),
	} {
		s.Expect(http.StatusForbidden, refused)
	}
	a := s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/tenant", access,
		map[string]any{"name": "Cafe\u0301", "settings": map[string]any{"registration": "open"}}))
	if a.Field(t, "name") != "Caf\u00e9" || !strings.Contains(string(a.Body), `"registration":"open"`) {
		t.Errorf("changed to %s", a.Body)
	}
	a = s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/tenants/"+id, root,
		map[string]any{"settings": map[string]any{"password_min_length": 20}}))
	if !strings.Contains(string(a.Body), `"registration":"open"`) ||
		!strings.Contains(string(a.Body), `"password_min_length":20`) {
		t.Errorf("changed to %s", a.Body)
	}
	for _, settings := range []map[string]any{{"password_min_length": 7}, {"password_min_length": 65},
		{"registration": "ajar"}, {"is_active": true}} {
		s.Expect(http.StatusUnprocessableEntity, s.Call("PATCH", "/api/v1/tenant", access,
			map[string]any{"settings": settings}))
	}
}

// Deleting a tenant deletes its rows in every table.
func TestDelete_leavesNoRowOfTenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		root, _ := s.Login()
		if _, err := demo.Fill(t.Context(), s.DB,
			demo.Options{Tenants: 1, Users: 1_100, Now: time.Now()}); err != nil { // more than one batch
			t.Fatal(err)
		}
		owner := s.CreateUser("demo-1", "owner@doomed.test", "owner")
		s.Populate(owner, "doomed.test")
		s.CreateRole(owner.Access, "custom", "users:read")
		inTenant := principal.NewContext(t.Context(), principal.InTenant(owner.TenantID))
		secret := func() []byte { return []byte(rand.Text() + rand.Text())[:32] }
		s.DB.Client.OAuthProvider.Create().SetName("p").SetKind("oidc").SetLabel("P").SetClientID("id").ExecX(inTenant)
		s.DB.Client.UserIdentity.Create().SetUserID(owner.ID).SetProvider("google").SetSubject("1").ExecX(inTenant)
		s.DB.Client.OAuthState.Create().SetUserID(owner.ID).SetProvider("p").SetStateHash(secret()).
			SetCodeVerifier(rand.Text() + rand.Text()).SetNonce(rand.Text()).
			SetBrowserHash(secret()).SetExpiresAt(time.Now().Add(time.Hour)).ExecX(inTenant)
		s.DB.Client.OneTimeToken.Create().SetUserID(owner.ID).SetPurpose("invitation").SetTokenHash(secret()).
			SetExpiresAt(time.Now().Add(time.Hour)).ExecX(inTenant)
		rows := func(least int) (n int) {
			t.Helper()
			for _, table := range migrate.Tables {
				column := "tenant_id"
				switch {
				case table.Name == "tenants":
					column = "id"
				case !slices.ContainsFunc(table.Columns, func(c *schema.Column) bool { return c.Name == column }):
					continue
				}
				var rowsOfTable int
				query := fmt.Sprintf("SELECT count(*) FROM %s WHERE CAST(%s AS text) = '%s'", table.Name, column,
					owner.TenantID)
				if err := s.DB.SQL.QueryRowContext(t.Context(), query).Scan(&rowsOfTable); err != nil {
					t.Fatal(err)
				}
				if rowsOfTable < least {
					t.Errorf("%s has %d rows of the tenant", table.Name, rowsOfTable)
				}
				n += rowsOfTable
			}
			return n
		}
		if before := rows(1); before < 2*1_100 {
			t.Fatalf("%d rows before", before)
		}
		s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/tenants/"+owner.TenantID.String(), root, nil))
		if left := rows(0); left != 0 {
			t.Errorf("%d rows are left", left)
		}
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", owner.Access, nil))
		s.Expect(http.StatusUnauthorized, s.Refresh(owner.Refresh))
	})
}

// An interrupted deletion continues with the next request. The tenant cannot be resumed, since some
// of its users may be deleted already.
func TestDelete_interruptedAllowsOnlyDeletion(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("doomed")
		root, _ := s.Login()
		owner := s.CreateUser("doomed", "owner@doomed.test", "owner")
		path := "/api/v1/tenants/" + owner.TenantID.String()
		s.DB.Client.Tenant.UpdateOneID(owner.TenantID).SetIsActive(false).SetIsDeleting(true).
			ExecX(principal.System(t.Context(), "test"))
		for _, act := range []string{"/resume", "/suspend"} {
			if a := s.Expect(http.StatusConflict, s.Call("POST", path+act, root, nil)); a.Field(t,
				"code") != "tenant_deleting" {
				t.Errorf("%s: %s", act, a.Body)
			}
		}
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, root, nil))
		s.Expect(http.StatusNotFound, s.Call("DELETE", path, root, nil))
	})
}

func TestSignUp_createsTenantWithOwner(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		closed, open := apitest.Start(t, opts), apitest.Start(t, opts, func(c *config.Config) {
			c.Signup = config.SignupOpen
		})
		body := func(slug, password string) map[string]any {
			return map[string]any{"tenant": map[string]any{"slug": slug, "name": "Beta"}, "email": "owner@beta.test",
				"password": password}
		}
		closed.Expect(http.StatusForbidden,
			closed.Call("POST", "/api/v1/signup", "", body("beta", apitest.OwnerPassword)))
		a := open.Expect(http.StatusCreated,
			open.Call("POST", "/api/v1/signup", "", body("beta", apitest.OwnerPassword)))
		access := a.Field(t, "access_token")
		if a := open.Expect(http.StatusOK, open.Call("GET", "/api/v1/tenant", access, nil)); a.Field(t,
			"slug") != "beta" {
			t.Errorf("created %s", a.Body)
		}
		open.Expect(http.StatusOK, open.Call("GET", "/api/v1/users", access, nil))
		open.Expect(http.StatusForbidden, open.Call("GET", "/api/v1/tenants", access, nil))
		open.Expect(http.StatusConflict, open.Call("POST", "/api/v1/signup", "", body("beta", apitest.OwnerPassword)))
		for pointer, refused := range map[string]map[string]any{"/tenant/slug": body("www", apitest.OwnerPassword),
			"/password": body("gamma", "gamma gamma gamma")} {
			a := open.Expect(http.StatusUnprocessableEntity, open.Call("POST", "/api/v1/signup", "", refused))
			if !strings.Contains(string(a.Body), `"`+pointer+`"`) {
				t.Errorf("%s is not named: %s", pointer, a.Body)
			}
		}
		if n := open.DB.Client.Tenant.Query().CountX(principal.System(t.Context(), "test")); n != 2 {
			t.Errorf("%d tenants", n)
		}
	})
}

// A superuser acts in another tenant only with the parameter tenant, and each act is logged. Other
// users are refused (ASVS 8.4.1).
func TestSuperuser_actsInTenantOfParameter(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		root, owner, stranger := s.SignIn("acme", s.Owner()), s.CreateUser("acme", "second@acme.test", "owner"),
			s.CreateUser("other", "owner@other.test", "owner")
		path := "/api/v1/users/" + stranger.ID.String()
		s.Expect(http.StatusNotFound, s.Call("GET", path, root.Access, nil))
		a := s.Expect(http.StatusOK, s.Call("GET", path+"?tenant=other&include=roles", root.Access, nil))
		if a.Field(t, "email") != stranger.Email {
			t.Errorf("read %s", a.Body)
		}
		if names, _, _ := s.ListUsers(root.Access, "tenant=other"); fmt.Sprint(names) != "[owner]" {
			t.Errorf("listed %v", names)
		}
		id := s.Expect(http.StatusCreated, s.Call("POST", "/api/v1/users?tenant=other", root.Access,
			map[string]any{"email": "ada@other.test"})).Field(t, "id")
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/"+id, stranger.Access, nil))
		s.Expect(http.StatusConflict, s.Call("DELETE", path+"?tenant=other", root.Access, nil)) // the last owner there
		if a := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/tenant?tenant=other", root.Access, nil)); a.Field(t,
			"slug") != "other" {
			t.Errorf("read %s", a.Body)
		}
		if lines := s.Events("superuser_act"); len(lines) == 0 || lines[0]["tenant_id"] != stranger.TenantID.String() {
			t.Errorf("the log has no event: %v", lines)
		}

		s.Expect(http.StatusNotFound, s.Call("GET", path+"?tenant=unknown", root.Access, nil))
		for _, own := range []string{"acme", "other", "unknown"} {
			s.Expect(http.StatusForbidden, s.Call("GET", "/api/v1/users?tenant="+own, owner.Access, nil))
		}
		// Where an operation does not allow it, the parameter is refused.
		s.Expect(http.StatusBadRequest, s.Call("GET", "/api/v1/users/me?tenant=other", root.Access, nil))
	})
}

func TestTenants_listedInPages(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		root, _ := s.Login()
		for i := range 4 {
			s.CreateTenant(fmt.Sprintf("tenant%d", i))
		}
		var slugs []string
		for next := "/api/v1/tenants?limit=2"; next != ""; {
			a := s.Expect(http.StatusOK, s.Call("GET", next, root, nil))
			for part := range strings.SplitSeq(string(a.Body), `"slug":"`) {
				if slug, _, ok := strings.Cut(part, `"`); ok && !strings.Contains(slug, "{") {
					slugs = append(slugs, slug)
				}
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(a.Header.Get("Link"), "<"), ">")
		}
		if got := strings.Join(slugs, " "); got != "tenant3 tenant2 tenant1 tenant0 acme" {
			t.Errorf("listed %s", got)
		}
		s.Expect(http.StatusBadRequest, s.Call("GET", "/api/v1/tenants?cursor=AAAA", root, nil))
	})
}

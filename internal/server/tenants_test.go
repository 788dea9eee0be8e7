package server_test

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
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
)

func newTenant(slug string) map[string]any {
	return map[string]any{"slug": slug, "name": "Tenant " + slug, "owner": map[string]any{"email": "owner@" + slug + ".test", "password": ownerPassword}}
}

func TestTenants_are_made_changed_and_deleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := start(t, opts), start(t, opts)
		root, _ := first.login()
		create := func(body map[string]any) answer { return first.call("POST", "/api/v1/tenants", root, body) }
		made := first.expect(http.StatusCreated, create(newTenant("beta")))
		id := made.field(t, "id")
		if !strings.Contains(string(made.body), `"registration":"closed"`) || !strings.Contains(string(made.body), `"password_min_length":15`) {
			t.Errorf("made %s", made.body)
		}
		first.expect(http.StatusConflict, create(newTenant("beta")))
		weak := newTenant("gamma")
		weak["owner"] = map[string]any{"email": "no address", "password": "short"}
		a := first.expect(http.StatusUnprocessableEntity, create(weak))
		for _, pointer := range []string{"/owner/email", "/owner/password"} {
			if !strings.Contains(string(a.body), `"`+pointer+`"`) {
				t.Errorf("%s is not named: %s", pointer, a.body)
			}
		}
		for _, slug := range []string{"admin", "www", "a", "Beta", "-a", "a-", "a_b", strings.Repeat("a", 64), "ä", "a.b"} {
			if a := create(newTenant(slug)); a.status != http.StatusUnprocessableEntity {
				t.Errorf("%q: %d", slug, a.status)
			}
		}

		login := func(s *instance) answer {
			return s.call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": "beta", "email": "owner@beta.test", "password": ownerPassword})
		}
		owner := first.expect(http.StatusOK, login(first))
		access, refresh := owner.field(t, "access_token"), owner.field(t, "refresh_token")
		for _, s := range []answer{
			first.call("GET", "/api/v1/tenants", access, nil), first.call("GET", "/api/v1/tenants/"+id, access, nil),
			first.call("PATCH", "/api/v1/tenants/"+id, access, map[string]any{"name": "Mine"}), first.call("DELETE", "/api/v1/tenants/"+id, access, nil),
			first.call("POST", "/api/v1/tenants/"+id+"/suspend", access, nil), first.call("POST", "/api/v1/tenants", access, newTenant("delta")),
		} {
			first.expect(http.StatusForbidden, s)
		}
		a = first.expect(http.StatusOK, first.call("PATCH", "/api/v1/tenant", access, map[string]any{"name": "Cafe\u0301", "settings": map[string]any{"registration": "open"}}))
		if a.field(t, "name") != "Caf\u00e9" || !strings.Contains(string(a.body), `"registration":"open"`) {
			t.Errorf("changed to %s", a.body)
		}
		a = first.expect(http.StatusOK, first.call("PATCH", "/api/v1/tenants/"+id, root, map[string]any{"settings": map[string]any{"password_min_length": 20}}))
		if !strings.Contains(string(a.body), `"registration":"open"`) || !strings.Contains(string(a.body), `"password_min_length":20`) {
			t.Errorf("changed to %s", a.body)
		}
		for _, settings := range []map[string]any{{"password_min_length": 7}, {"password_min_length": 65}, {"registration": "ajar"}, {"is_active": true}} {
			first.expect(http.StatusUnprocessableEntity, first.call("PATCH", "/api/v1/tenant", access, map[string]any{"settings": settings}))
		}

		first.expect(http.StatusNoContent, first.call("POST", "/api/v1/tenants/"+id+"/suspend", root, nil))
		second.server.CatchUp()
		for _, refused := range []answer{second.call("GET", "/api/v1/users/me", access, nil), second.refresh(refresh), login(second)} {
			second.expect(http.StatusUnauthorized, refused)
		}
		first.expect(http.StatusNoContent, first.call("POST", "/api/v1/tenants/"+id+"/resume", root, nil))
		second.server.CatchUp()
		second.expect(http.StatusOK, second.call("GET", "/api/v1/users/me", access, nil))
		second.expect(http.StatusOK, second.refresh(refresh))

		own := first.owner().TenantID.String()
		for _, a := range []answer{first.call("DELETE", "/api/v1/tenants/"+own, root, nil), first.call("POST", "/api/v1/tenants/"+own+"/suspend", root, nil)} {
			if a.status != http.StatusConflict || a.field(t, "code") != "own_tenant" {
				t.Errorf("one's own tenant: %d %s", a.status, a.body)
			}
		}
		for _, method := range []string{"GET", "DELETE"} {
			first.expect(http.StatusNotFound, first.call(method, "/api/v1/tenants/"+uuid.NewString(), root, nil))
		}
	})
}

// A tenant that is deleted leaves nothing behind, in any table.
func TestTenant_that_is_deleted_leaves_no_row(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		root, _ := s.login()
		if _, err := demo.Fill(t.Context(), s.db, demo.Options{Tenants: 1, Users: 1_100, Now: time.Now()}); err != nil { // more than one statement deletes
			t.Fatal(err)
		}
		owner := s.join("demo-1", "owner@doomed.test", "owner")
		s.populate(owner, "doomed.test")
		s.makeRole(owner.access, "custom", "users:read")
		inside := principal.NewContext(t.Context(), principal.InTenant(owner.TenantID))
		secret := func() []byte { return []byte(rand.Text() + rand.Text())[:32] }
		s.db.Client.OAuthProvider.Create().SetName("p").SetKind("oidc").SetLabel("P").SetClientID("id").ExecX(inside)
		s.db.Client.OAuthState.Create().SetUserID(owner.ID).SetProvider("p").SetStateHash(secret()).SetCodeVerifier(rand.Text() + rand.Text()).SetNonce(rand.Text()).
			SetBrowserHash(secret()).SetExpiresAt(time.Now().Add(time.Hour)).ExecX(inside)
		s.db.Client.OneTimeToken.Create().SetUserID(owner.ID).SetPurpose("invitation").SetTokenHash(secret()).SetExpiresAt(time.Now().Add(time.Hour)).ExecX(inside)
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
				var found int
				query := fmt.Sprintf("SELECT count(*) FROM %s WHERE CAST(%s AS text) = '%s'", table.Name, column, owner.TenantID)
				if err := s.db.SQL.QueryRowContext(t.Context(), query).Scan(&found); err != nil {
					t.Fatal(err)
				}
				if found < least {
					t.Errorf("%s has %d rows of the tenant", table.Name, found)
				}
				n += found
			}
			return n
		}
		if before := rows(1); before < 2*1_100 {
			t.Fatalf("%d rows before", before)
		}
		s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/tenants/"+owner.TenantID.String(), root, nil))
		if left := rows(0); left != 0 {
			t.Errorf("%d rows are left", left)
		}
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", owner.access, nil))
		s.expect(http.StatusUnauthorized, s.refresh(owner.refresh))
	})
}

// A deletion that was cut off goes on when it is asked for again, and there is no way back: a part may be gone, owners first.
func TestTenant_whose_deletion_was_cut_off_can_only_be_deleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("doomed")
		root, _ := s.login()
		owner := s.join("doomed", "owner@doomed.test", "owner")
		path := "/api/v1/tenants/" + owner.TenantID.String()
		s.db.Client.Tenant.UpdateOneID(owner.TenantID).SetIsActive(false).SetIsDeleting(true).ExecX(principal.System(t.Context(), "test"))
		for _, act := range []string{"/resume", "/suspend"} {
			if a := s.expect(http.StatusConflict, s.call("POST", path+act, root, nil)); a.field(t, "code") != "tenant_deleting" {
				t.Errorf("%s: %s", act, a.body)
			}
		}
		s.expect(http.StatusNoContent, s.call("DELETE", path, root, nil))
		s.expect(http.StatusNotFound, s.call("DELETE", path, root, nil))
	})
}

func TestSign_up_makes_a_tenant_and_its_owner(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		closed, open := start(t, opts), start(t, opts, func(c *config.Config) { c.Signup = config.SignupOpen })
		body := func(slug, password string) map[string]any {
			return map[string]any{"tenant": map[string]any{"slug": slug, "name": "Beta"}, "email": "owner@beta.test", "password": password}
		}
		closed.expect(http.StatusForbidden, closed.call("POST", "/api/v1/signup", "", body("beta", ownerPassword)))
		a := open.expect(http.StatusCreated, open.call("POST", "/api/v1/signup", "", body("beta", ownerPassword)))
		access := a.field(t, "access_token")
		if a := open.expect(http.StatusOK, open.call("GET", "/api/v1/tenant", access, nil)); a.field(t, "slug") != "beta" {
			t.Errorf("made %s", a.body)
		}
		open.expect(http.StatusOK, open.call("GET", "/api/v1/users", access, nil))
		open.expect(http.StatusForbidden, open.call("GET", "/api/v1/tenants", access, nil))
		open.expect(http.StatusConflict, open.call("POST", "/api/v1/signup", "", body("beta", ownerPassword)))
		for pointer, refused := range map[string]map[string]any{"/tenant/slug": body("www", ownerPassword), "/password": body("gamma", "gamma gamma gamma")} {
			a := open.expect(http.StatusUnprocessableEntity, open.call("POST", "/api/v1/signup", "", refused))
			if !strings.Contains(string(a.body), `"`+pointer+`"`) {
				t.Errorf("%s is not named: %s", pointer, a.body)
			}
		}
		if n := open.db.Client.Tenant.Query().CountX(principal.System(t.Context(), "test")); n != 2 {
			t.Errorf("%d tenants", n)
		}
	})
}

// A superuser acts elsewhere only by saying so, and it is logged. Nobody else does, whatever they say (ASVS 8.4.1).
func TestSuperuser_acts_in_another_tenant_by_name(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		root, owner, stranger := s.signIn("acme", s.owner()), s.join("acme", "second@acme.test", "owner"), s.join("other", "owner@other.test", "owner")
		path := "/api/v1/users/" + stranger.ID.String()
		s.expect(http.StatusNotFound, s.call("GET", path, root.access, nil))
		a := s.expect(http.StatusOK, s.call("GET", path+"?tenant=other&include=roles", root.access, nil))
		if a.field(t, "email") != stranger.Email {
			t.Errorf("read %s", a.body)
		}
		if names, _, _ := s.list(root.access, "tenant=other"); fmt.Sprint(names) != "[owner]" {
			t.Errorf("listed %v", names)
		}
		id := s.expect(http.StatusCreated, s.call("POST", "/api/v1/users?tenant=other", root.access, map[string]any{"email": "ada@other.test"})).field(t, "id")
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/"+id, stranger.access, nil))
		s.expect(http.StatusConflict, s.call("DELETE", path+"?tenant=other", root.access, nil)) // the last owner there
		if a := s.expect(http.StatusOK, s.call("GET", "/api/v1/tenant?tenant=other", root.access, nil)); a.field(t, "slug") != "other" {
			t.Errorf("read %s", a.body)
		}
		if lines := s.events("superuser_act"); len(lines) == 0 || lines[0]["tenant_id"] != stranger.TenantID.String() {
			t.Errorf("it is not in the log: %v", lines)
		}

		s.expect(http.StatusNotFound, s.call("GET", path+"?tenant=unknown", root.access, nil))
		for _, own := range []string{"acme", "other", "unknown"} {
			s.expect(http.StatusForbidden, s.call("GET", "/api/v1/users?tenant="+own, owner.access, nil))
		}
		// Where an operation does not allow it, the parameter is refused.
		s.expect(http.StatusBadRequest, s.call("GET", "/api/v1/users/me?tenant=other", root.access, nil))
	})
}

func TestTenants_are_listed_in_pages(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		root, _ := s.login()
		for i := range 4 {
			s.found(fmt.Sprintf("tenant%d", i))
		}
		var slugs []string
		for next := "/api/v1/tenants?limit=2"; next != ""; {
			a := s.expect(http.StatusOK, s.call("GET", next, root, nil))
			for part := range strings.SplitSeq(string(a.body), `"slug":"`) {
				if slug, _, found := strings.Cut(part, `"`); found && !strings.Contains(slug, "{") {
					slugs = append(slugs, slug)
				}
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
		}
		if got := strings.Join(slugs, " "); got != "tenant3 tenant2 tenant1 tenant0 acme" {
			t.Errorf("listed %s", got)
		}
		s.expect(http.StatusBadRequest, s.call("GET", "/api/v1/tenants?cursor=AAAA", root, nil))
	})
}

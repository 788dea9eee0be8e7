package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/api"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// list returns the addresses of a page of users, without their domain, and the page.
func (s *instance) list(access, query string) ([]string, api.Users, answer) {
	s.Helper()
	a := s.expect(http.StatusOK, s.call("GET", "/api/v1/users?"+query, access, nil))
	var page api.Users
	if err := json.Unmarshal(a.body, &page); err != nil {
		s.Fatal(err)
	}
	names := []string{}
	for _, u := range page.Items {
		name, _, _ := strings.Cut(u.Email, "@")
		names = append(names, name)
	}
	return names, page, a
}

// populate makes ten users in a tenant, every third of them inactive.
func (s *instance) populate(of person, domain string) {
	s.Helper()
	ctx := principal.NewContext(s.Context(), principal.InTenant(of.TenantID))
	var creates []*ent.UserCreate
	for i := range 10 {
		creates = append(creates, s.db.Client.User.Create().SetEmail(fmt.Sprintf("user%d@%s", i, domain)).
			SetFullName(fmt.Sprintf("Zoë Number%d", i)).SetIsActive(i%3 != 0))
	}
	s.db.Client.User.CreateBulk(creates...).ExecX(ctx)
}

func TestUsers_are_listed_in_pages_and_by_filter(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		owner, stranger := s.join("acme", "second@acme.test", "owner"), s.join("other", "stranger@other.test", "owner")
		s.populate(owner, "acme.test")

		var all []string
		cursor, pages := "", 0
		for query := "limit=5"; ; query = "limit=5&cursor=" + url.QueryEscape(cursor) {
			s.server.Forget()
			names, page, a := s.list(owner.access, query)
			all, pages = append(all, names...), pages+1
			if a.statements(t) != "2" {
				t.Errorf("page %d: %s statements", pages, a.statements(t))
			}
			if page.Total != nil {
				t.Errorf("a total that nobody asked for: %d", *page.Total)
			}
			link := a.header.Get("Link")
			if page.NextCursor == nil {
				if link != "" {
					t.Errorf("the last page links to %s", link)
				}
				break
			}
			if cursor = *page.NextCursor; !strings.Contains(link, url.QueryEscape(cursor)) || !strings.HasSuffix(link, `>; rel="next"`) {
				t.Errorf("Link: %s", link)
			}
		}
		want := []string{"user9", "user8", "user7", "user6", "user5", "user4", "user3", "user2", "user1", "user0", "second", "owner"}
		if !slices.Equal(all, want) || pages != 3 {
			t.Errorf("%d pages of %v", pages, all)
		}

		s.populate(stranger, "other.test")
		for query, want := range map[string]string{
			"total=exact&limit=1":                        "user9 of 12",
			"is_active=false&total=exact":                "user9 user6 user3 user0 of 4",
			"is_active=true&role=owner&total=exact":      "second owner of 2",
			"role=nobody":                                "",
			"email=User3%40ACME.test&total=exact":        "user3 of 1",
			"email=user3%40other.test":                   "",
			"q=USER1":                                    "user1",
			"q=zo%C3%AB+number7&total=exact":             "user7 of 1",
			"q=ZOE%CC%88+N&limit=2":                      "user9 user8",
			"q=%25":                                      "",
			"q=user_":                                    "",
			"q=" + url.QueryEscape("x' OR '1'='1"):       "",
			"q=second&include=roles&total=exact&limit=1": "second[owner] of 1",
		} {
			names, page, _ := s.list(owner.access, query)
			for i, u := range page.Items {
				if u.Roles != nil {
					names[i] += "[" + (*u.Roles)[0].Name + "]"
				}
			}
			got := strings.Join(names, " ")
			if page.Total != nil {
				got += fmt.Sprintf(" of %d", *page.Total)
			}
			if got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}

		_, page, _ := s.list(owner.access, "limit=1")
		own := url.QueryEscape(*page.NextCursor)
		_, foreign, _ := s.list(stranger.access, "limit=1")
		for _, query := range []string{
			"cursor=" + url.QueryEscape(*foreign.NextCursor), "is_active=true&cursor=" + own, "cursor=" + own + "A", "cursor=" + own[1:],
			"cursor=AAAA", "cursor=", "limit=0", "limit=-1", "limit=101", "limit=2147483648", "limit=9223372036854775808", "limit=1e400",
			"limit=0x10", "limit=%D9%A3", "limit=", "total=all", "is_active=maybe", "include=password_hash", "q=", "q=%00", "role=%ff",
		} {
			if a := s.call("GET", "/api/v1/users?"+query, owner.access, nil); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", query, a.status, a.body)
			}
		}
		// What no user can match is refused, with the reason.
		for query, want := range map[string]string{
			"email=ada+x@acme.test":  "email has a space: in a query + means a space, and %2B is a plus sign",
			"email=+ada@acme.test":   "email has a space: in a query + means a space, and %2B is a plus sign",
			"email=ada%40acme.test+": "email has a space: in a query + means a space, and %2B is a plus sign",
			"email=ada":              "email must be one plain e-mail address in ASCII, such as ada@example.com",
			"role=+member":           "role begins with a space, as no name does: in a query + means a space, and %2B is a plus sign",
			"q=+1":                   "q begins with a space, as no name does: in a query + means a space, and %2B is a plus sign",
			"Tenant=other":           `Tenant is not known: is "tenant" meant?`,
			"is_activ=true":          "is_activ is not known",
		} {
			a := s.expect(http.StatusBadRequest, s.call("GET", "/api/v1/users?"+query, owner.access, nil))
			var p api.Problem
			if err := json.Unmarshal(a.body, &p); err != nil {
				t.Fatal(err)
			}
			if p.Errors == nil || len(*p.Errors) != 1 || *(*p.Errors)[0].Parameter+" "+(*p.Errors)[0].Detail != want {
				t.Errorf("%s: %s", query, a.body)
			}
		}
		if names, _, _ := s.list(owner.access, "email=ada%2Bx@acme.test"); len(names) != 0 {
			t.Errorf("found %v", names)
		}
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users?limit=2&cursor="+own, owner.access, nil))
	})
}

func TestUsers_are_made_changed_and_deleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		owner := s.join("acme", "second@acme.test", "owner")
		admin := s.systemRole(owner, "admin")
		create := func(body map[string]any) answer { return s.call("POST", "/api/v1/users", owner.access, body) }
		id := s.expect(http.StatusCreated, create(map[string]any{"email": "Ada@Acme.test", "password": ownerPassword, "full_name": "Ada", "role_ids": []string{admin}})).field(t, "id")
		bob := s.expect(http.StatusCreated, create(map[string]any{"email": "bob@acme.test"})).field(t, "id")
		s.expect(http.StatusConflict, create(map[string]any{"email": "ada@ACME.test"}))
		s.expect(http.StatusUnprocessableEntity, create(map[string]any{"email": "eve@acme.test", "password": "short"}))
		s.expect(http.StatusUnprocessableEntity, create(map[string]any{"email": "eve@acme.test", "role_ids": []string{admin, uuid.NewString()}}))
		for _, member := range []string{"is_superuser", "tenant_id", "id", "password_hash", "Email", "email_verified", "created_at", "role"} {
			s.expect(http.StatusUnprocessableEntity, create(map[string]any{"email": "eve@acme.test", member: "x"}))
		}
		if names, _, _ := s.list(owner.access, ""); !slices.Equal(names, []string{"bob", "ada", "second", "owner"}) {
			t.Errorf("users %v", names)
		}
		if a := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/"+bob+"?include=roles", owner.access, nil)); !strings.Contains(string(a.body), `"name":"member"`) {
			t.Errorf("without roles: %s", a.body)
		}
		s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", credentials("bob@acme.test", "")))

		ada := s.signIn("acme", s.db.Client.User.GetX(principal.System(t.Context(), "test"), uuid.MustParse(id)))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users", ada.access, nil))
		change := func(of string, body map[string]any) answer {
			return s.call("PATCH", "/api/v1/users/"+of, owner.access, body)
		}
		s.expect(http.StatusConflict, change(bob, map[string]any{"email": "ada@acme.test"}))
		s.expect(http.StatusForbidden, change(owner.ID.String(), map[string]any{"email": "mine@acme.test"}))
		s.expect(http.StatusUnprocessableEntity, change(bob, map[string]any{"email": "no address"}))
		a := s.expect(http.StatusOK, change(id, map[string]any{"email": "Lovelace@acme.test", "full_name": "Ada L."}))
		if a.field(t, "email") != "lovelace@acme.test" || a.field(t, "full_name") != "Ada L." {
			t.Errorf("changed to %s", a.body)
		}
		sessions := "/api/v1/users/" + id + "/sessions"
		if a := s.expect(http.StatusOK, s.call("GET", sessions, owner.access, nil)); strings.Count(string(a.body), `"id"`) != 1 || !strings.Contains(string(a.body), `"current":false`) {
			t.Errorf("sessions: %s", a.body)
		}
		s.expect(http.StatusNoContent, s.call("DELETE", sessions, owner.access, nil))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", ada.access, nil))
		s.expect(http.StatusUnauthorized, s.refresh(ada.refresh))

		ada = s.signIn("acme", s.db.Client.User.GetX(principal.System(t.Context(), "test"), ada.ID))
		s.expect(http.StatusOK, change(id, map[string]any{"is_active": false}))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", ada.access, nil))
		s.expect(http.StatusOK, change(id, map[string]any{"is_active": true}))
		s.expect(http.StatusUnauthorized, s.refresh(ada.refresh))

		s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/users/"+id, owner.access, nil))
		for _, method := range []string{"GET", "DELETE"} {
			s.expect(http.StatusNotFound, s.call(method, "/api/v1/users/"+id, owner.access, nil))
		}
		// A new user of the same address is another one (CVE-2026-55670).
		again := s.expect(http.StatusCreated, create(map[string]any{"email": "lovelace@acme.test"})).field(t, "id")
		if a := s.call("GET", "/api/v1/users/"+again+"/sessions", owner.access, nil); again == id || strings.Contains(string(a.body), `"id"`) {
			t.Errorf("%s: %s", again, a.body)
		}
	})
}

// ASVS 8.2.1, and a tenant keeps an owner.
func TestUsers_above_oneself_are_out_of_reach(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		owner, admin := s.join("other", "owner@other.test", "owner"), s.join("other", "admin@other.test", "admin")
		path := "/api/v1/users/" + owner.ID.String()
		for name, a := range map[string]answer{
			"change":       s.call("PATCH", path, admin.access, map[string]any{"email": "mine@other.test"}),
			"deactivate":   s.call("PATCH", path, admin.access, map[string]any{"is_active": false}),
			"delete":       s.call("DELETE", path, admin.access, nil),
			"sign out":     s.call("DELETE", path+"/sessions", admin.access, nil),
			"create above": s.call("POST", "/api/v1/users", admin.access, map[string]any{"email": "x@other.test", "role_ids": []string{s.systemRole(owner, "owner")}}),
		} {
			if a.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		s.expect(http.StatusOK, s.call("GET", path, admin.access, nil))
		for name, a := range map[string]answer{
			"deactivate": s.call("PATCH", path, owner.access, map[string]any{"is_active": false}),
			"delete":     s.call("DELETE", path, owner.access, nil),
		} {
			if a.status != http.StatusConflict || a.field(t, "code") != "last_owner" {
				t.Errorf("%s the last owner: %d %s", name, a.status, a.body)
			}
		}
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", owner.access, nil))
		if n := s.db.Client.User.Query().CountX(principal.NewContext(t.Context(), principal.InTenant(owner.TenantID))); n != 2 {
			t.Errorf("%d users", n)
		}
	})
}

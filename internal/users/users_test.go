package users_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestUsers_listedInPagesAndByFilter(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		owner, stranger := s.CreateUser("acme", "second@acme.test", "owner"),
			s.CreateUser("other", "stranger@other.test", "owner")
		s.Populate(owner, "acme.test")
		checkPages(t, s, owner)
		s.Populate(stranger, "other.test")
		checkFilters(t, s, owner)
		checkInvalidQueries(t, s, owner, stranger)
		checkUnmatchableFilters(t, s, owner)
	})
}

func checkPages(t *testing.T, s *apitest.Instance, owner apitest.Account) {
	t.Helper()
	var all []string
	cursor, pages := "", 0
	for query := "limit=5"; ; query = "limit=5&cursor=" + url.QueryEscape(cursor) {
		s.Forget()
		names, page, a := s.ListUsers(owner.Access, query)
		all, pages = append(all, names...), pages+1
		if a.Statements(t) != "2" {
			t.Errorf("page %d: %s statements", pages, a.Statements(t))
		}
		if page.Total != nil {
			t.Errorf("a total that was not requested: %d", *page.Total)
		}
		link := a.Header.Get("Link")
		if page.NextCursor == nil {
			if link != "" {
				t.Errorf("the last page links to %s", link)
			}
			break
		}
		if cursor = *page.NextCursor; !strings.Contains(link, url.QueryEscape(cursor)) ||
			!strings.HasSuffix(link, `>; rel="next"`) {
			t.Errorf("Link: %s", link)
		}
	}
	want := []string{"user9", "user8", "user7", "user6", "user5", "user4", "user3", "user2", "user1", "user0",
		"second", "owner"}
	if !slices.Equal(all, want) || pages != 3 {
		t.Errorf("%d pages of %v", pages, all)
	}
}

func checkFilters(t *testing.T, s *apitest.Instance, owner apitest.Account) {
	t.Helper()
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
		names, page, _ := s.ListUsers(owner.Access, query)
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
}

func checkInvalidQueries(t *testing.T, s *apitest.Instance, owner, stranger apitest.Account) {
	t.Helper()
	_, page, _ := s.ListUsers(owner.Access, "limit=1")
	own := url.QueryEscape(*page.NextCursor)
	_, foreign, _ := s.ListUsers(stranger.Access, "limit=1")
	for _, query := range []string{
		"cursor=" + url.QueryEscape(*foreign.NextCursor), "is_active=true&cursor=" + own, "cursor=" + own + "A",
		"cursor=" + own[1:],
		"cursor=AAAA", "cursor=", "limit=0", "limit=-1", "limit=101", "limit=2147483648",
		"limit=9223372036854775808", "limit=1e400",
		"limit=0x10", "limit=%D9%A3", "limit=", "total=all", "is_active=maybe", "include=password_hash", "q=",
		"q=%00", "role=%ff",
	} {
		if a := s.Call("GET", "/api/v1/users?"+query, owner.Access, nil); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users?limit=2&cursor="+own, owner.Access, nil))
}

// checkUnmatchableFilters checks that a filter that no user can match is refused with the reason.
func checkUnmatchableFilters(t *testing.T, s *apitest.Instance, owner apitest.Account) {
	t.Helper()
	for query, want := range map[string]string{
		"email=ada+x@acme.test":  "email has a space: in a query + means a space, and %2B is a plus sign",
		"email=+ada@acme.test":   "email has a space: in a query + means a space, and %2B is a plus sign",
		"email=ada%40acme.test+": "email has a space: in a query + means a space, and %2B is a plus sign",
		"email=ada":              "email must be one plain e-mail address in ASCII, such as ada@example.com",
		"role=+member": "role begins with a space, as no name does: in a query + means a space, and " +
			"%2B is a plus sign",
		"q=+1": "q begins with a space, as no name does: in a query + means a space, and %2B " +
			"is a plus sign",
		"Tenant=other":  `Tenant is not known: is "tenant" meant?`,
		"is_activ=true": "is_activ is not known",
	} {
		a := s.Expect(http.StatusBadRequest, s.Call("GET", "/api/v1/users?"+query, owner.Access, nil))
		var p api.Problem
		if err := json.Unmarshal(a.Body, &p); err != nil {
			t.Fatal(err)
		}
		if p.Errors == nil || len(*p.Errors) != 1 || *(*p.Errors)[0].Parameter+" "+(*p.Errors)[0].Detail != want {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	if names, _, _ := s.ListUsers(owner.Access, "email=ada%2Bx@acme.test"); len(names) != 0 {
		t.Errorf("listed %v", names)
	}
}

func TestUsers_createdChangedAndDeleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner := s.CreateUser("acme", "second@acme.test", "owner")
		id, bob := checkCreate(t, s, owner)
		checkChange(t, s, owner, id, bob)
		checkDelete(t, s, owner, id)
	})
}

func createUser(s *apitest.Instance, by apitest.Account, body map[string]any) apitest.Answer {
	s.Helper()
	return s.Call("POST", "/api/v1/users", by.Access, body)
}

// checkCreate creates two users and returns their IDs.
func checkCreate(t *testing.T, s *apitest.Instance, owner apitest.Account) (id, bob string) {
	t.Helper()
	admin := s.SystemRole(owner, "admin")
	create := func(body map[string]any) apitest.Answer { return createUser(s, owner, body) }
	id = s.Expect(http.StatusCreated,
		create(map[string]any{"email": "Ada@Acme.test", "password": apitest.OwnerPassword, "full_name": "Ada",
			"role_ids": []string{admin}})).Field(t, "id")
	bob = s.Expect(http.StatusCreated, create(map[string]any{"email": "bob@acme.test"})).Field(t, "id")
	s.Expect(http.StatusConflict, create(map[string]any{"email": "ada@ACME.test"}))
	s.Expect(http.StatusUnprocessableEntity, create(map[string]any{"email": "eve@acme.test", "password": "short"}))
	s.Expect(http.StatusUnprocessableEntity,
		create(map[string]any{"email": "eve@acme.test", "role_ids": []string{admin, uuid.NewString()}}))
	for _, member := range []string{"is_superuser", "tenant_id", "id", "password_hash", "Email", "email_verified",
		"created_at", "role"} {
		s.Expect(http.StatusUnprocessableEntity, create(map[string]any{"email": "eve@acme.test", member: "x"}))
	}
	if names, _, _ := s.ListUsers(owner.Access, ""); !slices.Equal(names,
		[]string{"bob", "ada", "second", "owner"}) {
		t.Errorf("users %v", names)
	}
	if a := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/"+bob+"?include=roles", owner.Access,
		nil)); !strings.Contains(string(a.Body), `"name":"member"`) {
		t.Errorf("without roles: %s", a.Body)
	}
	s.Expect(http.StatusUnauthorized,
		s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials("bob@acme.test", "")))
	return id, bob
}

func checkChange(t *testing.T, s *apitest.Instance, owner apitest.Account, id, bob string) {
	t.Helper()
	ada := s.SignIn("acme", s.DB.Client.User.GetX(principal.System(t.Context(), "test"), uuid.MustParse(id)))
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users", ada.Access, nil))
	change := func(of string, body map[string]any) apitest.Answer {
		return s.Call("PATCH", "/api/v1/users/"+of, owner.Access, body)
	}
	s.Expect(http.StatusConflict, change(bob, map[string]any{"email": "ada@acme.test"}))
	s.Expect(http.StatusForbidden, change(owner.ID.String(), map[string]any{"email": "mine@acme.test"}))
	s.Expect(http.StatusUnprocessableEntity, change(bob, map[string]any{"email": "no address"}))
	a := s.Expect(http.StatusOK, change(id, map[string]any{"email": "Lovelace@acme.test", "full_name": "Ada L."}))
	if a.Field(t, "email") != "lovelace@acme.test" || a.Field(t, "full_name") != "Ada L." {
		t.Errorf("changed to %s", a.Body)
	}
	sessions := "/api/v1/users/" + id + "/sessions"
	if a := s.Expect(http.StatusOK, s.Call("GET", sessions, owner.Access, nil)); strings.Count(string(a.Body),
		`"id"`) != 1 || !strings.Contains(string(a.Body), `"current":false`) {
		t.Errorf("sessions: %s", a.Body)
	}
	s.Expect(http.StatusNoContent, s.Call("DELETE", sessions, owner.Access, nil))
	s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", ada.Access, nil))
	s.Expect(http.StatusUnauthorized, s.Refresh(ada.Refresh))

	ada = s.SignIn("acme", s.DB.Client.User.GetX(principal.System(t.Context(), "test"), ada.ID))
	s.Expect(http.StatusOK, change(id, map[string]any{"is_active": false}))
	s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", ada.Access, nil))
	s.Expect(http.StatusOK, change(id, map[string]any{"is_active": true}))
	s.Expect(http.StatusUnauthorized, s.Refresh(ada.Refresh))
}

func checkDelete(t *testing.T, s *apitest.Instance, owner apitest.Account, id string) {
	t.Helper()
	s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/users/"+id, owner.Access, nil))
	for _, method := range []string{"GET", "DELETE"} {
		s.Expect(http.StatusNotFound, s.Call(method, "/api/v1/users/"+id, owner.Access, nil))
	}
	// A new user with the same address has another ID and no sessions (CVE-2026-55670).
	again := s.Expect(http.StatusCreated, createUser(s, owner, map[string]any{"email": "lovelace@acme.test"})).
		Field(t, "id")
	if a := s.Call("GET", "/api/v1/users/"+again+"/sessions", owner.Access, nil); again == id ||
		strings.Contains(string(a.Body), `"id"`) {
		t.Errorf("%s: %s", again, a.Body)
	}
}

// A caller cannot change a user with more permissions (ASVS 8.2.1), and a tenant keeps an owner.
func TestUsers_aboveCallerCannotBeChanged(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		owner, admin := s.CreateUser("other", "owner@other.test", "owner"),
			s.CreateUser("other", "admin@other.test", "admin")
		path := "/api/v1/users/" + owner.ID.String()
		for name, a := range map[string]apitest.Answer{
			"change":     s.Call("PATCH", path, admin.Access, map[string]any{"email": "mine@other.test"}),
			"deactivate": s.Call("PATCH", path, admin.Access, map[string]any{"is_active": false}),
			"delete":     s.Call("DELETE", path, admin.Access, nil),
			"sign out":   s.Call("DELETE", path+"/sessions", admin.Access, nil),
			"create above": s.Call("POST", "/api/v1/users", admin.Access,
				map[string]any{"email": "x@other.test", "role_ids": []string{s.SystemRole(owner, "owner")}}),
		} {
			if a.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		s.Expect(http.StatusOK, s.Call("GET", path, admin.Access, nil))
		for name, a := range map[string]apitest.Answer{
			"deactivate": s.Call("PATCH", path, owner.Access, map[string]any{"is_active": false}),
			"delete":     s.Call("DELETE", path, owner.Access, nil),
		} {
			if a.Status != http.StatusConflict || a.Field(t, "code") != "last_owner" {
				t.Errorf("%s the last owner: %d %s", name, a.Status, a.Body)
			}
		}
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", owner.Access, nil))
		if n := s.DB.Client.User.Query().CountX(principal.NewContext(t.Context(),
			principal.InTenant(owner.TenantID))); n != 2 {
			t.Errorf("%d users", n)
		}
	})
}

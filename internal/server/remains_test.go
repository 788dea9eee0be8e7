package server_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/migrate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/api"
	"tenantry/internal/cache/cachetest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// What one tenant sees is the same, byte for byte, after another has grown by 1,000 users of the
// same addresses and names.
func TestTenant_seesNothingOfAnotherThatGrows(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		owner, other := s.join("acme", "second@acme.test", "owner"), s.join("other", "owner@other.test", "owner")
		s.populate(owner, "acme.test")
		custom, foreign := s.makeRole(owner.access, "custom", "users:read"), s.makeRole(other.access, "custom", "users:read")
		look := func() (seen []string) {
			for _, query := range []string{"", "?total=exact", "?total=exact&limit=3", "?total=exact&is_active=false", "?total=exact&q=user", "?total=exact&role=member", "?email=user1@acme.test&total=exact", "?include=roles"} {
				seen = append(seen, withoutID(t, s.call("GET", "/api/v1/users"+query, owner.access, nil)))
			}
			for _, a := range []answer{
				s.call("GET", "/api/v1/roles", owner.access, nil), s.call("GET", "/api/v1/tenant", owner.access, nil), s.call("GET", providersPath, owner.access, nil),
				s.call("GET", "/api/v1/users/"+other.ID.String(), owner.access, nil), s.call("GET", "/api/v1/users/"+owner.ID.String()+"?include=roles,tenant", owner.access, nil),
				s.call("POST", "/api/v1/users", owner.access, map[string]any{"email": "user1@acme.test"}),
				s.call("POST", "/api/v1/auth/register", "", credentials("user1@acme.test", ownerPassword)),
				s.call("POST", "/api/v1/roles", owner.access, map[string]any{"name": "CUSTOM", "permissions": []string{}}),
				s.call("PATCH", "/api/v1/roles/"+custom, owner.access, map[string]any{"name": "Member"}),
				s.call("PUT", "/api/v1/users/"+owner.ID.String()+"/roles", owner.access, map[string]any{"role_ids": []string{foreign}}),
				s.call("POST", "/api/v1/auth/login", "", credentials("user1@acme.test", "wrong password here")),
			} {
				seen = append(seen, withoutID(t, a))
			}
			return seen
		}
		before := look()
		ctx := principal.NewContext(t.Context(), principal.InTenant(other.TenantID))
		for batch := range 10 {
			var creates []*ent.UserCreate
			for i := range 100 {
				creates = append(creates, s.db.Client.User.Create().SetEmail(fmt.Sprintf("user%d@acme.test", batch*100+i)).SetFullName("Zoë Number1").SetIsActive(i%2 == 0))
			}
			s.db.Client.User.CreateBulk(creates...).ExecX(ctx)
		}
		for i := range 20 {
			s.makeRole(other.access, fmt.Sprint("role ", i), "users:read")
		}
		for i, after := range look() {
			if after != before[i] {
				t.Errorf("answer %d was\n%s\nand is\n%s", i, before[i], after)
			}
		}
	})
}

// Whoever gets the address of a deleted user gets nothing of that user.
func TestUser_recreatedWithTheSameAddressHasNothingOfTheDeletedOne(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		owner, ada := s.join("acme", "second@acme.test", "owner"), s.join("acme", "ada@acme.test", "admin")
		path := "/api/v1/users/" + ada.ID.String()
		s.expect(http.StatusNoContent, s.call("PUT", path+"/roles/"+s.makeRole(owner.access, "custom", "tenant:write"), owner.access, nil))
		ctx := principal.NewContext(t.Context(), principal.InTenant(ada.TenantID))
		s.db.Client.User.UpdateOneID(ada.ID).SetOauthProvider("google").SetOauthID("4711").SetEmailVerifiedAt(time.Now()).SetFullName("Ada").ExecX(ctx)
		s.db.Client.OneTimeToken.Create().SetPurpose("oauth_code").SetTokenHash([]byte(rand.Text()[:16] + rand.Text()[:16])).SetUserID(ada.ID).SetExpiresAt(time.Now().Add(time.Hour)).ExecX(ctx)
		s.expect(http.StatusNoContent, s.call("DELETE", path, owner.access, nil))
		again := s.expect(http.StatusCreated, s.call("POST", "/api/v1/users", owner.access, map[string]any{"email": "Ada@acme.test", "password": ownerPassword}))

		id := again.field(t, "id")
		if id == ada.ID.String() || again.field(t, "full_name") != "" {
			t.Errorf("created %s", again.body)
		}
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", ada.access, nil))
		s.expect(http.StatusUnauthorized, s.refresh(ada.refresh))
		s.expect(http.StatusNotFound, s.call("GET", path, owner.access, nil))
		var shown api.User
		if err := json.Unmarshal(s.expect(http.StatusOK, s.call("GET", "/api/v1/users/"+id+"?include=roles", owner.access, nil)).body, &shown); err != nil {
			t.Fatal(err)
		}
		if len(*shown.Roles) != 1 || (*shown.Roles)[0].Name != "member" || shown.EmailVerified {
			t.Errorf("recreated as %+v with the roles %+v", shown, *shown.Roles)
		}
		if a := s.call("GET", "/api/v1/users/"+id+"/sessions", owner.access, nil); string(a.body) != "{\"items\":[]}\n" && string(a.body) != `{"items":[]}` {
			t.Errorf("sessions %s", a.body)
		}
		if stored := s.db.Client.User.Query().Where(user.ID(uuid.MustParse(id))).OnlyX(ctx); stored.OauthProvider != nil || stored.OauthID != nil {
			t.Errorf("linked to %v, %v", stored.OauthProvider, stored.OauthID)
		}
		for _, table := range migrate.Tables {
			if !slices.ContainsFunc(table.Columns, func(c *schema.Column) bool { return c.Name == "user_id" }) {
				continue
			}
			n := -1
			query := fmt.Sprintf("SELECT count(*) FROM %s WHERE CAST(user_id AS text) = '%s'", table.Name, ada.ID)
			if err := s.db.SQL.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s: %d rows are left, %v", table.Name, n, err)
			}
		}
		fresh := s.signIn("acme", ada.User)
		s.expect(http.StatusForbidden, s.call("GET", "/api/v1/users", fresh.access, nil))
	})
}

// A tenant that is suspended or deleted on one instance has no way in on another a second later: no
// access token, refresh, sign-in, one-time code or sign-in at a provider, begun before or after.
func TestTenant_suspendedOrDeletedHasNoWayIn(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		first, second := start(t, opts, i.offer("corporate")), start(t, opts, i.offer("corporate"))
		root, _ := first.login()
		for _, act := range []struct{ method, path string }{{"POST", "/suspend"}, {"DELETE", ""}} {
			slug := "ending" + strings.ReplaceAll(act.path, "/", "-")
			first.found(slug)
			first.set(slug, welcoming)
			first.join(slug, "owner@ending.test", "owner")
			ada := first.join(slug, "someone@ending.test", "member")
			with := authorizePath + "?tenant=" + slug + "&redirect_uri=" + url.QueryEscape(application)
			b := first.browser()
			code := b.visit(with).arrival(b).Get("code")
			unfinished := second.browser()
			callback := unfinished.returning(authorizePath + "?tenant=" + slug)
			second.expect(http.StatusOK, second.call("GET", "/api/v1/users/me", ada.access, nil))
			ways := map[string]func() answer{
				"access token":        func() answer { return second.call("GET", "/api/v1/users/me", ada.access, nil) },
				"refresh token":       func() answer { return second.refresh(ada.refresh) },
				"code":                func() answer { return second.exchange(code) },
				"provider, begun":     func() answer { return unfinished.visit(callback) },
				"provider, beginning": func() answer { return second.browser().visit(authorizePath + "?tenant=" + slug) },
				"password": func() answer {
					return second.call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": slug, "email": ada.Email, "password": ownerPassword})
				},
				"registration": func() answer {
					return second.call("POST", "/api/v1/auth/register", "", map[string]string{"tenant": slug, "email": "new@ending.test", "password": ownerPassword})
				},
			}
			if code == "" {
				t.Fatal("no code")
			}
			first.expect(http.StatusNoContent, first.call(act.method, "/api/v1/tenants/"+ada.TenantID.String()+act.path, root, nil))
			ended := time.Now()
			for ways["access token"]().status != http.StatusUnauthorized {
				if time.Since(ended) > time.Second {
					t.Fatalf("%s: the access token is good for more than a second", act.method)
				}
			}
			for what, try := range ways {
				if a := try(); a.status < 400 || a.status >= 500 || strings.Contains(string(a.body), "access_token") {
					t.Errorf("%s%s: %s: %d %s", act.method, act.path, what, a.status, a.body)
				}
			}
			if n := second.db.Client.RefreshToken.Query().Where(refreshtoken.TenantID(ada.TenantID), refreshtoken.CreatedAtGT(ended)).CountX(principal.System(t.Context(), "test")); n != 0 {
				t.Errorf("%s: %d sessions began", act.method, n)
			}
		}
	})
}

// Within a second after a tenant is deleted no key of it is left in Redis, T-09.
func TestTenant_thatIsDeletedLeavesNoKeyInRedis(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	opts := dbtest.Postgres(t)
	sharing := func(c *config.Config) { c.RedisURL, c.SessionsPerUser = redis.URL, 10_000 }
	s, second := start(t, opts, sharing), start(t, opts, sharing)
	keys := func() []string { return redis.Client.Keys(t.Context(), "*").Val() }
	// shared calls an operation with ever new sessions until so many keys more are there.
	shared := func(more int, signIn func() string) (access []string) {
		before := len(keys())
		for began := time.Now(); len(keys()) < before+more; {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%d sessions, %d keys", len(access), len(keys()))
			}
			access = append(access, signIn())
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access[len(access)-1], nil))
		}
		time.Sleep(time.Second) // what was offered last is shared as well
		return access
	}
	roots := shared(5, func() string { access, _ := s.login(); return access })
	root, others := roots[len(roots)-1], keys()
	s.found("doomed")
	ada := s.join("doomed", "ada@doomed.test", "member")
	sessions := shared(10, func() string { return s.signIn("doomed", ada.User).access })
	s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/tenants/"+ada.TenantID.String(), root, nil))
	deleted := time.Now()
	for _, access := range append(sessions, ada.access) {
		for second.call("GET", "/api/v1/users/me", access, nil).status != http.StatusUnauthorized {
			if time.Since(deleted) > time.Second {
				t.Fatal("a session of the deleted tenant counts")
			}
		}
	}
	left := func() []string {
		return slices.DeleteFunc(keys(), func(k string) bool { return slices.Contains(others, k) })
	}
	for len(left()) > 0 {
		if time.Since(deleted) > 2*time.Second {
			t.Fatalf("%d keys are left: %q", len(left()), left())
		}
	}
	time.Sleep(time.Second) // no instance makes one again
	if n := len(left()); n > 0 {
		t.Errorf("%d keys are there again: %q", n, left())
	}
}

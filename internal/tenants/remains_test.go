package tenants_test

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

	"tenantry/ent/migrate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/cache/cachetest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A new user with the address of a deleted user has none of the deleted user's data.
func TestUser_recreatedAddressInheritsNothing(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner, ada := s.CreateUser("acme", "second@acme.test", "owner"), s.CreateUser("acme", "ada@acme.test", "admin")
		path := "/api/v1/users/" + ada.ID.String()
		s.Expect(http.StatusNoContent, s.Call("PUT", path+"/roles/"+s.CreateRole(owner.Access, "custom",
			"tenant:write"), owner.Access, nil))
		ctx := principal.NewContext(t.Context(), principal.InTenant(ada.TenantID))
		s.DB.Client.User.UpdateOneID(ada.ID).SetOauthProvider("google").SetOauthID("4711").
			SetEmailVerifiedAt(time.Now()).SetFullName("Ada").ExecX(ctx)
		s.DB.Client.OneTimeToken.Create().SetPurpose("oauth_code").SetTokenHash([]byte(rand.Text()[:16] +
			rand.Text()[:16])).SetUserID(ada.ID).SetExpiresAt(time.Now().Add(time.Hour)).ExecX(ctx)
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, owner.Access, nil))
		again := s.Expect(http.StatusCreated, s.Call("POST", "/api/v1/users", owner.Access,
			map[string]any{"email": "Ada@acme.test", "password": apitest.OwnerPassword}))

		id := again.Field(t, "id")
		if id == ada.ID.String() || again.Field(t, "full_name") != "" {
			t.Errorf("created %s", again.Body)
		}
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", ada.Access, nil))
		s.Expect(http.StatusUnauthorized, s.Refresh(ada.Refresh))
		s.Expect(http.StatusNotFound, s.Call("GET", path, owner.Access, nil))
		var read api.User
		if err := json.Unmarshal(s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/"+id+"?include=roles",
			owner.Access, nil)).Body, &read); err != nil {
			t.Fatal(err)
		}
		if len(*read.Roles) != 1 || (*read.Roles)[0].Name != "member" || read.EmailVerified {
			t.Errorf("recreated as %+v with the roles %+v", read, *read.Roles)
		}
		if a := s.Call("GET", "/api/v1/users/"+id+"/sessions", owner.Access,
			nil); string(a.Body) != "{\"items\":[]}\n" && string(a.Body) != `{"items":[]}` {
			t.Errorf("sessions %s", a.Body)
		}
		if stored := s.DB.Client.User.Query().Where(user.ID(uuid.MustParse(id))).
			OnlyX(ctx); stored.OauthProvider != nil || stored.OauthID != nil {
			t.Errorf("linked to %v, %v", stored.OauthProvider, stored.OauthID)
		}
		for _, table := range migrate.Tables {
			if !slices.ContainsFunc(table.Columns, func(c *schema.Column) bool { return c.Name == "user_id" }) {
				continue
			}
			n := -1
			query := fmt.Sprintf("SELECT count(*) FROM %s WHERE CAST(user_id AS text) = '%s'", table.Name, ada.ID)
			if err := s.DB.SQL.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s: %d rows are left, %v", table.Name, n, err)
			}
		}
		fresh := s.SignIn("acme", ada.User)
		s.Expect(http.StatusForbidden, s.Call("GET", "/api/v1/users", fresh.Access, nil))
	})
}

// Within a second after a tenant is suspended or deleted on one instance, another refuses its
// access tokens, refreshes, sign-ins, one-time codes and sign-ins at providers, begun before or
// after.
func TestTenant_suspendedOrDeletedRefusesAllCredentials(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		first, second := apitest.Start(t, opts, i.Configure("corporate")),
			apitest.Start(t, opts, i.Configure("corporate"))
		root, _ := first.Login()
		for _, act := range []struct{ method, path string }{{"POST", "/suspend"}, {"DELETE", ""}} {
			slug := "ending" + strings.ReplaceAll(act.path, "/", "-")
			first.CreateTenant(slug)
			first.ChangeSettings(slug, apitest.OpenToProviders)
			first.CreateUser(slug, "owner@ending.test", "owner")
			ada := first.CreateUser(slug, "someone@ending.test", "member")
			with := apitest.AuthorizePath + "?tenant=" + slug + "&redirect_uri=" +
				url.QueryEscape(apitest.ApplicationURL)
			b := first.Browser()
			code := b.Visit(with).RedirectQuery(b).Get("code")
			unfinished := second.Browser()
			callback := unfinished.UntilCallback(apitest.AuthorizePath + "?tenant=" + slug)
			second.Expect(http.StatusOK, second.Call("GET", "/api/v1/users/me", ada.Access, nil))
			credentials := requestsWithCredentials(second, slug, ada, code, unfinished, callback)
			if code == "" {
				t.Fatal("no code")
			}
			first.Expect(http.StatusNoContent, first.Call(act.method, "/api/v1/tenants/"+ada.TenantID.String()+act.path,
				root, nil))
			changed := time.Now()
			for credentials["access token"]().Status != http.StatusUnauthorized {
				if time.Since(changed) > time.Second {
					t.Fatalf("%s: the access token is accepted for more than a second", act.method)
				}
			}
			for name, send := range credentials {
				if a := send(); a.Status < 400 || a.Status >= 500 || strings.Contains(string(a.Body), "access_token") {
					t.Errorf("%s%s: %s: %d %s", act.method, act.path, name, a.Status, a.Body)
				}
			}
			if n := second.DB.Client.RefreshToken.Query().Where(refreshtoken.TenantID(ada.TenantID),
				refreshtoken.CreatedAtGT(changed)).CountX(principal.System(t.Context(), "test")); n != 0 {
				t.Errorf("%s: %d sessions began", act.method, n)
			}
		}
	})
}

// requestsWithCredentials returns a request for each credential of a user and each way to sign in.
func requestsWithCredentials(s *apitest.Instance, slug string, ada apitest.Account, code string,
	unfinished *apitest.Browser, callback string) map[string]func() apitest.Answer {
	return map[string]func() apitest.Answer{
		"access token": func() apitest.Answer {
			return s.Call("GET", "/api/v1/users/me", ada.Access, nil)
		},
		"refresh token":   func() apitest.Answer { return s.Refresh(ada.Refresh) },
		"code":            func() apitest.Answer { return s.ExchangeCode(code) },
		"provider, begun": func() apitest.Answer { return unfinished.Visit(callback) },
		"provider, beginning": func() apitest.Answer {
			return s.Browser().Visit(apitest.AuthorizePath + "?tenant=" + slug)
		},
		"password": func() apitest.Answer {
			return s.Call("POST", "/api/v1/auth/login", "",
				map[string]string{"tenant": slug, "email": ada.Email, "password": apitest.OwnerPassword})
		},
		"registration": func() apitest.Answer {
			return s.Call("POST", "/api/v1/auth/register", "",
				map[string]string{"tenant": slug, "email": "new@ending.test",
					"password": apitest.OwnerPassword})
		},
	}
}

// Within a second after the deletion of a tenant, Redis has no key of it (T-09).
func TestDelete_leavesNoKeyInRedis(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	opts := dbtest.Postgres(t)
	withRedis := func(c *config.Config) { c.RedisURL, c.SessionsPerUser = redis.URL, 10_000 }
	s, second := apitest.Start(t, opts, withRedis), apitest.Start(t, opts, withRedis)
	keys := func() []string { return redis.Client.Keys(t.Context(), "*").Val() }
	// shared sends requests with new sessions until Redis has the number of further keys.
	shared := func(more int, signIn func() string) (access []string) {
		before := len(keys())
		for began := time.Now(); len(keys()) < before+more; {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%d sessions, %d keys", len(access), len(keys()))
			}
			access = append(access, signIn())
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access[len(access)-1], nil))
		}
		time.Sleep(time.Second) // until the last values are published
		return access
	}
	roots := shared(5, func() string { access, _ := s.Login(); return access })
	root, others := roots[len(roots)-1], keys()
	s.CreateTenant("doomed")
	ada := s.CreateUser("doomed", "ada@doomed.test", "member")
	sessions := shared(10, func() string { return s.SignIn("doomed", ada.User).Access })
	s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/tenants/"+ada.TenantID.String(), root, nil))
	deleted := time.Now()
	for _, access := range append(sessions, ada.Access) {
		for second.Call("GET", "/api/v1/users/me", access, nil).Status != http.StatusUnauthorized {
			if time.Since(deleted) > time.Second {
				t.Fatal("a session of the deleted tenant is accepted")
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
	time.Sleep(time.Second) // no instance may create one again
	if n := len(left()); n > 0 {
		t.Errorf("%d keys were created again: %q", n, left())
	}
}

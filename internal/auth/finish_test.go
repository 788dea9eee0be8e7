package auth_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// lastSession returns the session that was created last.
func lastSession(s *apitest.Instance) *ent.RefreshToken {
	s.Helper()
	return s.DB.Client.RefreshToken.Query().Order(refreshtoken.ByID(sql.OrderDesc())).
		FirstX(principal.System(s.Context(), "test"))
}

// Every way to sign in stores when and how the user has proved who they are.
func TestFinish_storesTimeAndMethodsOfTheAuthentication(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		clock := apitest.NewClock()
		s := apitest.StartAt(t, opts, clock.Now, i.Configure("corporate"),
			func(c *config.Config) { c.Signup = config.SignupOpen })
		s.ChangeSettings("acme", apitest.OpenToProviders)
		expect := func(way string, at time.Time, method string) {
			t.Helper()
			session := lastSession(s)
			if session.AuthenticatedAt == nil || !session.AuthenticatedAt.Equal(at) ||
				!slices.Equal(session.Amr, []string{method}) {
				t.Errorf("%s: authenticated at %v by %v, want %v by %s", way, session.AuthenticatedAt, session.Amr, at,
					method)
			}
		}
		s.Login()
		expect("sign-in", clock.Now(), "pwd")
		s.Expect(http.StatusCreated, s.Call("POST", "/api/v1/auth/register", "",
			apitest.Credentials("new@acme.test", apitest.OwnerPassword)))
		expect("registration", clock.Now(), "pwd")
		s.Expect(http.StatusCreated, s.Call("POST", "/api/v1/signup", "", map[string]any{
			"tenant": map[string]any{"slug": "beta", "name": "Beta"},
			"email":  "owner@beta.test", "password": apitest.OwnerPassword,
		}))
		expect("sign-up", clock.Now(), "pwd")

		b := s.Browser()
		s.Expect(http.StatusOK, b.Visit(b.UntilCallback(apitest.AuthorizePath)))
		expect("callback", clock.Now(), "fed")
		at := clock.Now()
		code := b.Visit(apitest.AuthorizeToApplication).RedirectQuery(b).Get("code")
		clock.Advance(30 * time.Second)
		tokens := s.Expect(http.StatusOK, s.ExchangeCode(code))
		expect("exchange of a code", at, "fed")

		s.Expect(http.StatusOK, s.Refresh(tokens.Field(t, "refresh_token")))
		expect("refresh", at, "fed")
	})
}

// The previous version stores neither, and the session then counts from its creation.
func TestFinish_sessionOfThePreviousVersionCountsFromItsCreation(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		s := apitest.StartAt(t, opts, clock.Now)
		access, _ := s.Login()
		if _, err := s.DB.Client.ExecContext(principal.System(t.Context(), "test"),
			`UPDATE refresh_tokens SET authenticated_at = NULL, amr = '[]'`); err != nil {
			t.Fatal(err)
		}
		s.Forget()
		change := func() apitest.Answer {
			return s.Call("DELETE", "/api/v1/auth/oauth/link", access, nil)
		}
		if a := change(); a.Status == http.StatusUnauthorized {
			t.Errorf("a recent session: %s", a.Body)
		}
		clock.Advance(11 * time.Minute)
		if a := change(); a.Status != http.StatusUnauthorized {
			t.Errorf("an old session: %d %s", a.Status, a.Body)
		}
	})
}

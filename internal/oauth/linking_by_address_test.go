package oauth_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/ent/schema/settings"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// linking is an instance with a provider that asserts the addresses of its users.
type linking struct {
	*apitest.Instance
	issuer *apitest.Issuer
	users  int
}

func newLinking(t testing.TB, opts database.Options) *linking {
	t.Helper()
	i := apitest.NewIssuer(t)
	i.Userinfo = map[string]any{} // announced
	s := apitest.Start(t, opts, i.Configure("corporate"))
	s.ChangeSettings("acme", apitest.OpenToProviders)
	return &linking{Instance: s, issuer: i}
}

// try creates a user, whose address is verified here if local, and signs in at the provider as the
// subject name with that address, after change has changed what the provider says.
func (l *linking) try(name string, local bool, change func(email string)) (apitest.Account, apitest.Answer) {
	l.Helper()
	l.users++
	u := l.CreateUser("acme", fmt.Sprintf("user%d@acme.test", l.users), "admin")
	if local {
		l.DB.Client.User.UpdateOne(u.User).SetEmailVerifiedAt(time.Now()).
			ExecX(principal.System(l.Context(), "test"))
	}
	i := l.issuer
	i.Change(func() {
		i.Userinfo = map[string]any{"sub": name}
		i.Claims = map[string]any{"sub": name, "email": strings.ToUpper(u.Email), "email_verified": true}
		change(u.Email)
	})
	return u, l.Browser().Visit(apitest.AuthorizePath)
}

// stays checks that the sign-in was refused and that the account is as it was.
func (l *linking) stays(name string, u apitest.Account, a apitest.Answer) {
	l.Helper()
	if now := reloaded(l.Instance, u.User); a.Status != http.StatusConflict ||
		!strings.Contains(string(a.Body), `"account_exists"`) || now.OauthID != nil || now.PasswordHash == nil {
		l.Errorf("%s: %d %s", name, a.Status, a.Body)
	}
	l.Expect(http.StatusOK, l.Call("GET", "/api/v1/users/me", u.Access, nil))
}

// O-08, O-09: an address links only what both sides have proved.
func TestLinking_byAddressNeedsProofOnBothSides(t *testing.T) {
	t.Parallel()
	unverified := map[string]any{
		"false": false, "missing": nil, "a_word": "true", "a_number": 1, "a_list": []bool{true},
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		l := newLinking(t, opts)
		for _, local := range []bool{true, false} {
			for name, value := range unverified {
				name = fmt.Sprintf("remote %s, local %t", name, local)
				u, a := l.try(name, local, func(string) {
					if l.issuer.Claims["email_verified"] = value; value == nil {
						delete(l.issuer.Claims, "email_verified")
					}
				})
				l.stays(name, u, a)
			}
			// Proved in one document, and the address in another.
			u, a := l.try("split", local, func(email string) {
				delete(l.issuer.Claims, "email")
				l.issuer.Userinfo["email"] = email
			})
			l.stays("split", u, a)
			u, a = l.try("contradiction", local, func(email string) {
				maps.Copy(l.issuer.Userinfo, map[string]any{"email": "other@acme.test", "email_verified": true})
			})
			l.stays("contradiction", u, a)
			u, a = l.try("denied", local, func(email string) {
				maps.Copy(l.issuer.Userinfo, map[string]any{"email": email, "email_verified": false})
			})
			l.stays("denied", u, a)
		}
	})
}

// O-08, O-09: the account is the one's who has proved the address, and who had only claimed it is
// out.
func TestLinking_byVerifiedAddressSignsInOwner(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		l := newLinking(t, opts)
		// Both have proved it: one account, and its password goes on.
		both, a := l.try("both", true, func(string) {})
		if l.Expect(http.StatusOK, a); !strings.Contains(string(a.Body), both.ID.String()) {
			t.Errorf("another user has signed in: %s", a.Body)
		}
		l.Expect(http.StatusOK, l.Call("GET", "/api/v1/users/me", both.Access, nil))
		l.Expect(http.StatusOK, l.Refresh(both.Refresh))
		l.SignIn("acme", both.User)

		// Only an unverified registration had the address: the account belongs to the user who
		// verifies it.
		victim, a := l.try("claimed", false, func(string) {})
		if l.Expect(http.StatusOK, a); !strings.Contains(string(a.Body), victim.ID.String()) ||
			!strings.Contains(string(a.Body), `"email_verified":true`) {
			t.Errorf("another user has signed in: %s", a.Body)
		}
		l.Expect(http.StatusUnauthorized,
			l.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(victim.Email, apitest.OwnerPassword)))
		l.Expect(http.StatusUnauthorized, l.Refresh(victim.Refresh))
		l.Expect(http.StatusUnauthorized, l.Call("GET", "/api/v1/users/me", victim.Access, nil))
		l.Expect(http.StatusOK, l.Call("GET", "/api/v1/users/me", a.Field(t, "access_token"), nil))
	})
}

// A tenant that does not link by address links no account, and one with closed registration creates
// none.
func TestLinking_byAddressDisabledRefusesUnlinkedUser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		l := newLinking(t, opts)
		both, a := l.try("both", true, func(string) {})
		l.Expect(http.StatusOK, a)

		l.ChangeSettings("acme", func(t *settings.Tenant) {
			t.LinkByEmail, t.Registration = false, settings.RegistrationClosed
		})
		u, a := l.try("not wanted", true, func(string) {})
		l.stays("not wanted", u, a)
		l.issuer.Change(func() { l.issuer.Claims["email"] = "new@acme.test" })
		if l.Expect(http.StatusForbidden, l.Browser().Visit(apitest.AuthorizePath)).Field(t,
			"code") != "registration_closed" {
			t.Error("another problem")
		}
		// But whom it knows.
		l.issuer.Change(func() {
			l.issuer.Claims, l.issuer.Userinfo = map[string]any{"sub": "both"}, map[string]any{"sub": "both"}
		})
		if a := l.Expect(http.StatusOK, l.Browser().Visit(apitest.AuthorizePath)); !strings.Contains(string(a.Body),
			both.ID.String()) {
			t.Errorf("another user has signed in: %s", a.Body)
		}
	})
}

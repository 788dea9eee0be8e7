package auth_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestPasswordChange_revokesOtherSessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		const next = "another horse, another battery"
		keep, keepRefresh := first.Login()
		others := [2][2]string{}
		for i := range others {
			others[i][0], others[i][1] = second.Login()
		}
		change := func(current, next string) apitest.Answer {
			t.Helper()
			return first.Call("POST", "/api/v1/auth/password", keep, map[string]string{"current_password": current,
				"new_password": next})
		}
		for pointer, a := range map[string]apitest.Answer{
			"/current_password": change("not the current password", next),
			"/new_password":     change(apitest.OwnerPassword, "fourteen chars"),
		} {
			var p api.Problem
			if err := json.Unmarshal(first.Expect(http.StatusUnprocessableEntity, a).Body, &p); err != nil {
				t.Fatal(err)
			}
			if p.Errors == nil || len(*p.Errors) != 1 || *(*p.Errors)[0].Pointer != pointer {
				t.Errorf("%s: %s", pointer, a.Body)
			}
		}
		second.Expect(http.StatusOK, second.Call("GET", "/api/v1/users/me", others[0][0], nil))

		// A sign-in that has verified the old password and stores its session only after the
		// change.
		ctx := principal.System(t.Context(), "test")
		owner := first.Owner()
		first.Expect(http.StatusNoContent, change(apitest.OwnerPassword, next))
		late := first.DB.Client.RefreshToken.Create().SetTenantID(owner.TenantID).SetUserID(owner.ID).
			SetPasswordVersion(owner.PasswordVersion).SetExpiresAt(time.Now().Add(time.Hour)).SaveX(ctx)

		for _, s := range []*apitest.Instance{first, second} {
			s.CatchUp()
			for _, tokens := range others {
				s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", tokens[0], nil))
				s.Expect(http.StatusUnauthorized, s.Refresh(tokens[1]))
			}
			s.Expect(http.StatusUnauthorized,
				s.Call("POST", "/api/v1/auth/login", "",
					apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", keep, nil))
		}
		keepRefresh = first.Expect(http.StatusOK, first.Refresh(keepRefresh)).Field(t, "refresh_token")
		for _, listed := range first.Sessions(keep) {
			if listed.ID == late.ID {
				t.Error("the late session is alive")
			}
		}
		first.Expect(http.StatusOK, first.Call("POST", "/api/v1/auth/login", "",
			apitest.Credentials(apitest.OwnerEmail, next)))
		first.Expect(http.StatusOK, second.Refresh(keepRefresh))
	})
}

// ASVS 6.2.4 and 6.2.11, wherever a password is set. Every one of them is long enough.
func TestPassword_commonIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		command := apitest.Command(t, opts)
		for _, password := range []string{
			"passwordpassword", "PasswordPassword1", "123456789012345", "1234567890123456", "qwertyuiopasdfghjkl",
			"1qaz2wsx3edc4rfv",
			"q1w2e3r4t5y6u7i8", "qwerty123456789", "monkey123456789", "letmeinletmein123", "iloveyou iloveyou",
			"dragon-dragon-dragon",
			"abc123abc123abc123", "football123456789", "Sunshine_Sunshine", "zxcvbnm123456789", "1q2w3e4r5t6y7u8i",
			"princess12345678",
			"trustno1trustno1", "superman-superman-2026", "acme acme acme acme", "tenantry tenantry",
			apitest.OwnerEmail + "2026",
		} {
			refused := func(a apitest.Answer) {
				t.Helper()
				if s.Expect(http.StatusUnprocessableEntity, a); !strings.Contains(string(a.Body), "password") ||
					strings.Contains(string(a.Body), password) {
					t.Errorf("%q: %s", password, a.Body)
				}
			}
			refused(s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials(apitest.OwnerEmail, password)))
			refused(s.Call("POST", "/api/v1/auth/password", access,
				map[string]string{"current_password": apitest.OwnerPassword, "new_password": password}))
			_, err := command(password, "user", "create", "--email="+apitest.OwnerEmail, apitest.PasswordFromStdin)
			if err == nil || !strings.Contains(err.Error(), "password") {
				t.Errorf("%q: the command line says %v", password, err)
			}
		}
		if n := s.DB.Client.User.Query().CountX(principal.System(t.Context(), "test")); n != 1 {
			t.Errorf("%d users", n)
		}
		s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
			apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
	})
}

package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/internal/api"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestChange_of_password_ends_other_sessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := start(t, opts), start(t, opts)
		const next = "another horse, another battery"
		keep, keepRefresh := first.login()
		others := [2][2]string{}
		for i := range others {
			others[i][0], others[i][1] = second.login()
		}
		change := func(current, next string) answer {
			t.Helper()
			return first.call("POST", "/api/v1/auth/password", keep, map[string]string{"current_password": current, "new_password": next})
		}
		for pointer, a := range map[string]answer{
			"/current_password": change("not the current password", next),
			"/new_password":     change(ownerPassword, "fourteen chars"),
		} {
			var p api.Problem
			if err := json.Unmarshal(first.expect(http.StatusUnprocessableEntity, a).body, &p); err != nil {
				t.Fatal(err)
			}
			if p.Errors == nil || len(*p.Errors) != 1 || *(*p.Errors)[0].Pointer != pointer {
				t.Errorf("%s: %s", pointer, a.body)
			}
		}
		second.expect(http.StatusOK, second.call("GET", "/api/v1/users/me", others[0][0], nil))

		// A sign-in that has verified the old password and stores its session only after the change.
		ctx := principal.System(t.Context(), "test")
		owner := first.owner()
		first.expect(http.StatusNoContent, change(ownerPassword, next))
		late := first.db.Client.RefreshToken.Create().SetTenantID(owner.TenantID).SetUserID(owner.ID).
			SetPasswordVersion(owner.PasswordVersion).SetExpiresAt(time.Now().Add(time.Hour)).SaveX(ctx)

		for _, s := range []*instance{first, second} {
			s.server.CatchUp()
			for _, tokens := range others {
				s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", tokens[0], nil))
				s.expect(http.StatusUnauthorized, s.refresh(tokens[1]))
			}
			s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, ownerPassword)))
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", keep, nil))
		}
		keepRefresh = first.expect(http.StatusOK, first.refresh(keepRefresh)).field(t, "refresh_token")
		for _, listed := range first.sessions(keep) {
			if listed.ID == late.ID {
				t.Error("the late session is alive")
			}
		}
		first.expect(http.StatusOK, first.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, next)))
		first.expect(http.StatusOK, second.refresh(keepRefresh))
	})
}

// ASVS 6.2.4 and 6.2.11, wherever a password is set. Every one of them is long enough.
func TestPassword_that_everybody_guesses_is_refused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		command := command(t, opts)
		for _, password := range []string{
			"passwordpassword", "PasswordPassword1", "123456789012345", "1234567890123456", "qwertyuiopasdfghjkl", "1qaz2wsx3edc4rfv",
			"q1w2e3r4t5y6u7i8", "qwerty123456789", "monkey123456789", "letmeinletmein123", "iloveyou iloveyou", "dragon-dragon-dragon",
			"abc123abc123abc123", "football123456789", "Sunshine_Sunshine", "zxcvbnm123456789", "1q2w3e4r5t6y7u8i", "princess12345678",
			"trustno1trustno1", "superman-superman-2026", "acme acme acme acme", "tenantry tenantry", ownerEmail + "2026",
		} {
			refused := func(a answer) {
				t.Helper()
				if s.expect(http.StatusUnprocessableEntity, a); !strings.Contains(string(a.body), "password") || strings.Contains(string(a.body), password) {
					t.Errorf("%q: %s", password, a.body)
				}
			}
			refused(s.call("POST", "/api/v1/auth/register", "", credentials(ownerEmail, password)))
			refused(s.call("POST", "/api/v1/auth/password", access, map[string]string{"current_password": ownerPassword, "new_password": password}))
			_, err := command(password, "user", "create", "--email="+ownerEmail, withPassword)
			if err == nil || !strings.Contains(err.Error(), "password") {
				t.Errorf("%q: the command line says %v", password, err)
			}
		}
		if n := s.db.Client.User.Query().CountX(principal.System(t.Context(), "test")); n != 1 {
			t.Errorf("%d users", n)
		}
		s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, ownerPassword)))
	})
}

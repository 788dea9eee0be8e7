package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// the server chooses the ID of a session, and ignores one that the client sends.
func TestSignIn_adoptsNoSessionOfTheClient(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, refresh := s.Login()
		_, before := apitest.DecodeJWT(t, access)
		body := fmt.Sprintf(`{"tenant":"acme","email":%q,"password":%q`, apitest.OwnerEmail, apitest.OwnerPassword)
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/api/v1/auth/login",
			strings.NewReader(body+"}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+access)
		r.Header.Set("X-Session-Id", before["sid"].(string)) //nolint:forcetypeassert // it is text
		for _, name := range []string{"session", "sid", "__Host-session", "refresh_token"} {
			r.AddCookie(&http.Cookie{Name: name, Value: refresh})
		}
		a := s.Expect(http.StatusOK, s.Send(r))
		_, after := apitest.DecodeJWT(t, a.Field(t, "access_token"))
		if after["sid"] == before["sid"] || a.Field(t, "refresh_token") == refresh {
			t.Errorf("session %v is used again", after["sid"])
		}
		for _, member := range []string{"sid", "session_id", "refresh_token", "id"} {
			s.Expect(http.StatusUnprocessableEntity,
				s.Call("POST", "/api/v1/auth/login", "", body+fmt.Sprintf(`,%q:%q}`, member, before["sid"])))
			s.Expect(http.StatusBadRequest,
				s.Call("POST", fmt.Sprintf("/api/v1/auth/login?%s=%v", member, before["sid"]), "", body+"}"))
		}
	})
}

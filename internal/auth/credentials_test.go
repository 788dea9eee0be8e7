package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// J-12: no claim beyond those of docs/tokens.md, nothing personal, and a subject that stays.
func TestAccessToken_claimsAreDocumentedAndImpersonal(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ada := s.CreateUser("acme", "ada@acme.test", "admin")
		header, claims := decoded(t, ada.Access)
		if got := slices.Sorted(maps.Keys(header)); !slices.Equal(got, []string{"alg", "kid", "typ"}) {
			t.Errorf("header %v", got)
		}
		want := []string{"aud", "client_id", "exp", "iat", "iss", "jti", "roles", "sid", "sub", "tid"}
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, want) {
			t.Errorf("claims %v, want %v", got, want)
		}
		ada.User = s.DB.Client.User.UpdateOne(ada.User).SetEmail("lovelace@acme.test").SetFullName("Ada Lovelace").
			SaveX(principal.System(t.Context(), "test"))
		_, renamed := decoded(t, s.SignIn("acme", ada.User).Access)
		if claims["client_id"] != claims["tid"] {
			t.Errorf("client %v of the tenant %v", claims["client_id"], claims["tid"])
		}
		if renamed["sub"] != claims["sub"] || renamed["sub"] != ada.ID.String() {
			t.Errorf("subject %v, then %v", claims["sub"], renamed["sub"])
		}
		for _, personal := range []string{"ada", "lovelace", "@"} {
			if text := strings.ToLower(fmt.Sprint(renamed)); strings.Contains(text, personal) {
				t.Errorf("the claims have %q: %s", personal, text)
			}
		}
	})
}

// decoded returns the header and the claims of a JWT.
func decoded(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// a session has an identity of the server's own, whatever the client brings.
func TestSignIn_adoptsNoSessionOfTheClient(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, refresh := s.Login()
		_, before := decoded(t, access)
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
		_, after := decoded(t, a.Field(t, "access_token"))
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

package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// lineOf returns what was logged of a request.
func lineOf(s *apitest.Instance, a apitest.Answer) map[string]any {
	s.Helper()
	for l := range strings.Lines(s.Logs.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			s.Fatal(err)
		}
		if line["msg"] == "request" && line["request_id"] == a.Header.Get("X-Request-Id") {
			return line
		}
	}
	s.Fatalf("no line of %s", a.Header.Get("X-Request-Id"))
	return nil
}

// The line of a request that carries no access token names user and tenant once they have proved
// themselves, and no other user.
func TestRequestLine_ofASignInNamesUserTenantAndOperation(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		login := s.Expect(http.StatusOK,
			s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
		refresh := s.Expect(http.StatusOK, s.Refresh(login.Field(t, "refresh_token")))
		registered := s.Expect(http.StatusCreated,
			s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials("ada@acme.test", apitest.OwnerPassword)))
		owner := s.Owner()
		var ada struct {
			User struct{ ID uuid.UUID } `json:"user"`
		}
		if err := json.Unmarshal(registered.Body, &ada); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			operation string
			answer    apitest.Answer
			user      uuid.UUID
		}{{"Login", login, owner.ID}, {"Refresh", refresh, owner.ID}, {"Register", registered, ada.User.ID}} {
			line := lineOf(s, test.answer)
			if line["operation"] != test.operation || line["user_id"] != test.user.String() ||
				line["tenant_id"] != owner.TenantID.String() {
				t.Errorf("%s: %v", test.operation, line)
			}
		}
		for _, a := range []apitest.Answer{
			s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, "a wrong password")),
			s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials("nobody@acme.test", apitest.OwnerPassword)),
			s.Refresh("no token"),
		} {
			s.Expect(http.StatusUnauthorized, a)
			if line := lineOf(s, a); line["user_id"] != nil || line["tenant_id"] != nil {
				t.Errorf("a refused sign-in names a user: %v", line)
			}
		}
	})
}

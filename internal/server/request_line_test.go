package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// lineOf returns what was logged of a request.
func (s *instance) lineOf(a answer) map[string]any {
	s.Helper()
	for l := range strings.Lines(s.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			s.Fatal(err)
		}
		if line["msg"] == "request" && line["request_id"] == a.header.Get("X-Request-Id") {
			return line
		}
	}
	s.Fatalf("no line of %s", a.header.Get("X-Request-Id"))
	return nil
}

// The line of a request that carries no access token names user and tenant once they have proved themselves, and nobody before.
func TestRequestLine_ofASignInNamesUserTenantAndOperation(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		login := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, ownerPassword)))
		refresh := s.expect(http.StatusOK, s.refresh(login.field(t, "refresh_token")))
		registered := s.expect(http.StatusCreated, s.call("POST", "/api/v1/auth/register", "", credentials("ada@acme.test", ownerPassword)))
		owner := s.owner()
		var ada struct {
			User struct{ ID uuid.UUID } `json:"user"`
		}
		if err := json.Unmarshal(registered.body, &ada); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			operation string
			answer    answer
			user      uuid.UUID
		}{{"Login", login, owner.ID}, {"Refresh", refresh, owner.ID}, {"Register", registered, ada.User.ID}} {
			line := s.lineOf(test.answer)
			if line["operation"] != test.operation || line["user_id"] != test.user.String() || line["tenant_id"] != owner.TenantID.String() {
				t.Errorf("%s: %v", test.operation, line)
			}
		}
		for _, a := range []answer{
			s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, "a wrong password")),
			s.call("POST", "/api/v1/auth/login", "", credentials("nobody@acme.test", ownerPassword)),
			s.refresh("no token"),
		} {
			s.expect(http.StatusUnauthorized, a)
			if line := s.lineOf(a); line["user_id"] != nil || line["tenant_id"] != nil {
				t.Errorf("a refused sign-in names somebody: %v", line)
			}
		}
	})
}

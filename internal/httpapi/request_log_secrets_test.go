package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestRequestLog_namesRequestTenantAndUserButNoSecret(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, refresh := s.Login()
		a := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me?include=roles", access, nil))
		next := s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token")
		s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials("ada@acme.test", "a password of Ada's"))
		s.Call("POST", "/api/v1/auth/login", "", `{"email":"`+apitest.OwnerEmail+`","password":"mistyped password"`)
		s.Call("GET", "/api/v1/users/me", access[:len(access)-1], nil)

		logged := s.Logs.String()
		owner := s.Owner()
		line := ""
		for l := range strings.Lines(logged) {
			if strings.Contains(l, a.Header.Get("X-Request-Id")) {
				line = l
			}
		}
		for _, want := range []string{
			`"tenant_id":"` + owner.TenantID.String(), `"user_id":"` + owner.ID.String(), `"status":200`,
			`"duration_us":`, `"statements":3`,
		} {
			if !strings.Contains(line, want) {
				t.Errorf("%s is not in the line of the request: %s", want, line)
			}
		}
		for _, secret := range []string{apitest.OwnerPassword, "a password of Ada's", "mistyped password", access,
			refresh, next, apitest.Secret, *owner.PasswordHash,
			access[strings.LastIndex(access, ".")+1:][:8], refresh[strings.LastIndex(refresh, ".")+1:][:8]} {
			if strings.Contains(logged, secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
	})
}

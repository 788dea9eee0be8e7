package sessions_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestAccessToken_isNotValidInAnotherTenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ctx := principal.System(t.Context(), "test")
		other := s.DB.Client.Tenant.Create().SetSlug("other").SetName("Other").SaveX(ctx)
		access, _ := s.Login()
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v1/users/me", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+access)
		r.Header.Set("X-Tenant-ID", other.ID.String())
		if got := s.Expect(http.StatusOK, s.Send(r)).Field(t, "tenant_id"); got != s.Owner().TenantID.String() {
			t.Errorf("acting in tenant %s", got)
		}
		s.Expect(http.StatusBadRequest, s.Call("GET", "/api/v1/users/me?tenant=other&tenant_id="+other.ID.String(),
			access, nil))
		// A deleted session is refused.
		s.DB.Client.RefreshToken.Delete().ExecX(ctx)
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", access, nil))
	})
}

// J-10: a token with an invalid signature is refused, and the response does not say whether it has
// expired.
func TestAccessToken_expiredIsRefusedAsInvalid(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		s := apitest.StartAt(t, opts, clock.Now)
		access, _ := s.Login()
		clock.Advance(16 * time.Minute)
		refuse(s, "expired", access)
		refuse(s, "expired, with the signature of nothing", access[:strings.LastIndexByte(access, '.')+1])
		refuse(s, "expired, with another signature", access[:len(access)-4]+"AAAA")
	})
}

func TestAccessToken_otherSecretsAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, refresh := s.Login()
		claims := newForger(t, access).claims
		secrets := []string{refresh, apitest.OwnerPassword, apitest.Secret, *s.Owner().PasswordHash,
			strings.ReplaceAll(refresh, ".", ""), refresh + "." + refresh}
		for _, name := range []string{"client_id", "jti", "sid", "sub", "tid"} {
			secrets = append(secrets, claims[name].(string))
		}
		for _, secret := range slices.Concat(secrets, strings.Split(access, "."), strings.Split(refresh, ".")) {
			refuse(s, secret, secret)
		}
		for _, token := range []string{access, access[:512],
			strings.Join(append(strings.Split(refresh, ".")[:2], strings.Split(access, ".")[2]), ".")} {
			if a := s.Refresh(token); a.Status != http.StatusUnauthorized &&
				a.Status != http.StatusUnprocessableEntity {
				t.Errorf("refreshed with %q: %d", token, a.Status)
			}
			s.Call("POST", "/api/v1/auth/logout", "", map[string]string{"refresh_token": token})
		}
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, access, nil))
	})
}

func TestAccessToken_tenantInTheBodyIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		other := s.DB.Client.Tenant.Create().SetSlug("other").SetName("Other").SaveX(principal.System(t.Context(),
			"test"))
		access, _ := s.Login()
		for _, name := range []string{"tenant", "tenant_id", "Tenant_ID", "tid"} {
			s.Expect(http.StatusUnprocessableEntity,
				s.Call("PATCH", apitest.MePath, access, map[string]string{"full_name": "Ada", name: other.ID.String()}))
		}
		s.Expect(http.StatusBadRequest, s.Call("DELETE", "/api/v1/auth/sessions/"+uuid.NewString()+"?tenant_id="+
			other.ID.String(), access, nil))
		if u := s.Owner(); u.FullName != "" {
			t.Errorf("renamed to %q", u.FullName)
		}
	})
}

package tenants_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// patchSettings changes the settings of the caller's tenant and returns the effective settings.
func patchSettings(s *apitest.Instance, access, change string) api.TenantSettings {
	s.Helper()
	var changed api.Tenant
	a := s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/tenant", access, `{"settings":`+change+`}`))
	if err := json.Unmarshal(a.Body, &changed); err != nil {
		s.Fatal(err)
	}
	return changed.Settings
}

func TestSettings_lifetimesApplyToOneTenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		s := apitest.StartAt(t, opts, clock.Now)
		s.CreateTenant("brief")
		ours, theirs := s.CreateUser("brief", "ada@brief.test", "owner"), s.SignIn("acme", s.Owner())
		refreshed := func(p *apitest.Account) (expiresIn int) {
			t.Helper()
			var tokens api.Tokens
			if err := json.Unmarshal(s.Expect(http.StatusOK, s.Refresh(p.Refresh)).Body, &tokens); err != nil {
				t.Fatal(err)
			}
			p.Refresh = tokens.RefreshToken
			return tokens.ExpiresIn
		}
		changed := patchSettings(s, ours.Access,
			`{"access_token_ttl":120,"refresh_token_ttl":7200,"refresh_idle_ttl":3600}`)
		if *changed.AccessTokenTTL != 120 || *changed.RefreshTokenTTL != 7200 || *changed.RefreshIdleTTL != 3600 {
			t.Errorf("changed to %+v", changed)
		}
		if own := patchSettings(s, theirs.Access, `{}`); *own.AccessTokenTTL != 900 ||
			*own.RefreshTokenTTL != 720*3600 || *own.RefreshIdleTTL != 168*3600 {
			t.Errorf("another tenant has %+v", own)
		}
		if ours, theirs := refreshed(&ours), refreshed(&theirs); ours != 120 || theirs != 900 {
			t.Errorf("access tokens expire in %d s and %d s", ours, theirs)
		}

		again := s.SignIn("brief", ours.User)
		if ends := s.Sessions(again.Access)[0].ExpiresAt.Sub(clock.Now()).Round(time.Second); ends != time.Hour {
			t.Errorf("a session ends in %s", ends)
		}
		clock.Advance(2 * time.Minute)
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", again.Access, nil)) // within the leeway
		clock.Advance(time.Minute)
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", again.Access, nil))

		// Idle timeout of the sessions that began before and after the change.
		refreshed(&again)
		clock.Advance(time.Hour)
		s.Expect(http.StatusUnauthorized, s.Refresh(again.Refresh))
		s.Expect(http.StatusUnauthorized, s.Refresh(ours.Refresh))
		refreshed(&theirs)

		// Maximum lifetime of a session that is refreshed.
		kept := s.SignIn("brief", ours.User)
		for range 3 {
			clock.Advance(39 * time.Minute)
			refreshed(&kept)
		}
		clock.Advance(3 * time.Minute)
		s.Expect(http.StatusUnauthorized, s.Refresh(kept.Refresh))
	})
}

func TestSettings_invalidChangeNothing(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		const kept = "https://app.example.com/done"
		patchSettings(s, access, `{"redirect_uris":["`+kept+`","com.example.app:/done"]}`)
		for change, pointer := range map[string]string{
			`{"access_token_ttl":59}`:                               "/settings/access_token_ttl",
			`{"access_token_ttl":901}`:                              "/settings/access_token_ttl",
			`{"access_token_ttl":0}`:                                "/settings/access_token_ttl",
			`{"refresh_token_ttl":2592001}`:                         "/settings/refresh_token_ttl",
			`{"refresh_idle_ttl":604801}`:                           "/settings/refresh_idle_ttl",
			`{"refresh_idle_ttl":-1}`:                               "/settings/refresh_idle_ttl",
			`{"refresh_idle_ttl":600}`:                              "/settings/refresh_idle_ttl",
			`{"refresh_token_ttl":600}`:                             "/settings/refresh_token_ttl",
			`{"access_token_ttl":120,"refresh_idle_ttl":60}`:        "/settings/access_token_ttl",
			`{"refresh_idle_ttl":1000000000000000000}`:              "/settings/refresh_idle_ttl",
			`{"redirect_uris":["https://a.test","https://a.test"]}`: "/settings/redirect_uris",
			`{"redirect_uris":["` + kept +
				`","http://app.example.com/"]}`: "/settings/redirect_uris/1",
			`{"redirect_uris":["javascript:alert(1)"]}`:                       "/settings/redirect_uris/0",
			`{"redirect_uris":[""]}`:                                          "/settings/redirect_uris/0",
			`{"registration":"open","redirect_uris":["https://*.acme.test"]}`: "/settings/redirect_uris/0",
			`{"redirect_uris":[` + strings.Repeat(`"https://a.test",`, 50) +
				`"https://a.test"]}`: "/settings/redirect_uris",
		} {
			a := s.Expect(http.StatusUnprocessableEntity,
				s.Call("PATCH", "/api/v1/tenant", access, `{"name":"Other","settings":`+change+`}`))
			if !strings.Contains(string(a.Body), `"`+pointer+`"`) {
				t.Errorf("%s: %s is not named: %s", change, pointer, a.Body)
			}
		}
		a := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/tenant", access, nil))
		if a.Field(t, "name") == "Other" {
			t.Errorf("changed to %s", a.Body)
		}
		if effective := patchSettings(s, access, `{}`); !slices.Equal(*effective.RedirectUris,
			[]string{kept, "com.example.app:/done"}) || *effective.AccessTokenTTL != 900 {
			t.Errorf("changed to %+v", effective)
		}
		if effective := patchSettings(s, access, `{"redirect_uris":[]}`); len(*effective.RedirectUris) != 0 {
			t.Errorf("changed to %+v", effective)
		}
	})
}

package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"tenantry/internal/principal"
)

func TestAuthorization_header(t *testing.T) {
	t.Parallel()
	const nothing, bad = "Bearer", `Bearer error="invalid_token"`
	for _, test := range []struct {
		name      string
		headers   []string
		challenge string
		asked     int64 // how often Authenticate was
	}{
		{"none", nil, nothing, 0},
		{"empty", []string{"Authorization: "}, bad, 0},
		{"basic", []string{"Authorization: Basic YWRhOmNhbmFyeS00NzEx"}, bad, 0},
		{"other_scheme", []string{"Authorization: Token " + goodToken}, bad, 0},
		{"token_alone", []string{"Authorization: " + goodToken}, bad, 0},
		{"scheme_alone", []string{"Authorization: Bearer"}, bad, 0},
		{"scheme_and_space", []string{"Authorization: Bearer "}, bad, 0},
		{"scheme_that_only_begins_so", []string{"Authorization: Bearers " + goodToken}, bad, 0},
		{"tab_between", []string{"Authorization: Bearer\t" + goodToken}, bad, 0},
		{"two_spaces", []string{"Authorization: Bearer  " + goodToken}, bad, 1},
		{"two_headers", []string{"Authorization: Bearer " + goodToken, "Authorization: Bearer " + goodToken}, bad, 0},
		{"good_before_bad_header", []string{"Authorization: Bearer " + goodToken, "Authorization: Basic x"}, bad, 0},
		{"list_of_two", []string{"Authorization: Bearer " + goodToken + ", Bearer " + goodToken}, bad, 1},
		{"more_than_8_KiB", []string{"Authorization: Bearer " + strings.Repeat("x", 8<<10-6)}, bad, 0},
		{"many_dots", []string{"Authorization: Bearer " + strings.Repeat(".", 100<<10)}, bad, 0},
		{"8_KiB_and_wrong", []string{"Authorization: Bearer " + strings.Repeat("x", 8<<10-7)}, bad, 1},
		{"wrong", []string{"Authorization: Bearer bad"}, bad, 1},
		{"another_header", []string{"X-Authorization: Bearer " + goodToken, "Cookie: access_token=" + goodToken},
			nothing, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			code := "invalid_token"
			if test.challenge == nothing {
				code = "unauthorized"
			}
			got := a.expect(http.StatusUnauthorized, code, a.get(mePath, test.headers...))
			if challenges := got.header.Values("WWW-Authenticate"); len(challenges) != 1 ||
				challenges[0] != test.challenge {
				t.Errorf("challenged with %q, want %q", challenges, test.challenge)
			}
			if n := a.authenticated.Load(); n != test.asked {
				t.Errorf("verified %d tokens, want %d", n, test.asked)
			}
			a.expectHandled(0)
		})
	}
}

func TestAuthorization_schemeIsCaseInsensitive(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		a := start(t)
		a.expect(http.StatusOK, "", a.get(mePath, "Authorization: "+scheme+" "+goodToken))
	}
}

func TestToken_inQueryOrFormIsIgnored(t *testing.T) {
	t.Parallel()
	a := start(t)
	for _, name := range []string{"access_token", "token", "bearer", "Authorization"} {
		got := a.expect(http.StatusUnauthorized, "unauthorized", a.get(mePath+"?"+name+"="+goodToken))
		if challenge := got.header.Get("WWW-Authenticate"); challenge != "Bearer" {
			t.Errorf("%s: challenged with %q", name, challenge)
		}
	}
	form := a.request(http.MethodPatch, mePath, strings.NewReader("access_token="+goodToken),
		"Content-Type: application/x-www-form-urlencoded")
	a.expect(http.StatusUnsupportedMediaType, "", a.do(form))
	if n := a.authenticated.Load(); n != 0 {
		t.Errorf("verified %d tokens", n)
	}
}

func TestToken_isVerifiedOnceAndOnlyWhereRequired(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		send func(*app) answer
		want int64
	}{
		"private_operation": {func(a *app) answer { return a.me() }, 1},
		"public_operation":  {func(a *app) answer { return a.login(loginBody, "Authorization: Bearer "+goodToken) }, 0},
		"with_parameters": {func(a *app) answer {
			return a.get(mePath+"?include=roles", "Authorization: Bearer "+goodToken)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			a.expect(http.StatusOK, "", test.send(a))
			if n := a.authenticated.Load(); n != test.want {
				t.Errorf("verified %d times", n)
			}
		})
	}
}

func TestTenant_comesFromTheTokenAlone(t *testing.T) {
	t.Parallel()
	const other = "01890000-0000-7000-8000-0000000000ff"
	a := start(t, handling(func(ctx context.Context, _ any) error {
		if p, _ := principal.FromContext(ctx); p.TenantID != alice.TenantID {
			t.Errorf("acts in %s", p.TenantID)
		}
		return nil
	}))
	a.expect(http.StatusOK, "", a.me("X-Tenant: "+other, "X-Tenant-Id: "+other, "Tenant: "+other))
	a.expect(http.StatusBadRequest, "invalid_parameter", a.get(mePath+"?tenant="+other+"&tenant_id="+other,
		"Authorization: Bearer "+goodToken))
	a.expectHandled(1)
}

func TestClient_isRemoteAddressOrReportedByTrustedProxy(t *testing.T) {
	t.Parallel()
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, test := range []struct {
		name    string
		trusted []netip.Prefix
		headers []string
		want    string
	}{
		{"no_proxy", nil, nil, "127.0.0.1"},
		{"forged_without_proxies", nil, []string{"X-Forwarded-For: 203.0.113.9"}, "127.0.0.1"},
		{"forged_otherwise", nil, []string{"X-Real-IP: 203.0.113.9", "Forwarded: for=203.0.113.9",
			"CF-Connecting-IP: 203.0.113.9"}, "127.0.0.1"},
		{"proxy_elsewhere", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			[]string{"X-Forwarded-For: 203.0.113.9"}, "127.0.0.1"},
		{"trusted", local, []string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.9"},
		{"trusted_and_version_6", local, []string{"X-Forwarded-For: 2001:db8::9"}, "2001:db8::9"},
		{"trusted_without_header", local, nil, "127.0.0.1"},
		{"forged_before_a_trusted_proxy", local, []string{"X-Forwarded-For: 198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{"forged_in_a_line_of_its_own", local,
			[]string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9"},
		{"behind_two_trusted_proxies", local, []string{"X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.2"},
			"203.0.113.9"},
		{"not_an_address", local, []string{"X-Forwarded-For: \"; drop table users"}, "127.0.0.1"},
		{"header_that_no_proxy_was_told_to_set", local, []string{"X-Real-IP: 203.0.113.9"}, "127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var ip, agent string
			a := start(t, func(s *setup) { s.TrustedProxies = test.trusted },
				handling(func(ctx context.Context, _ any) error { ip, agent = Client(ctx); return nil }))
			a.expect(http.StatusOK, "", a.login(loginBody, append(test.headers, "User-Agent: curl/8")...))
			if ip != test.want || agent != "curl/8" {
				t.Errorf("client %q with %q, want %q", ip, agent, test.want)
			}
			if lines := a.lines("request"); len(lines) != 1 || lines[0]["ip"] != test.want {
				t.Errorf("logged %v", lines)
			}
		})
	}
}

func TestClient_outsideRequestIsEmpty(t *testing.T) {
	t.Parallel()
	if ip, agent := Client(t.Context()); ip != "" || agent != "" {
		t.Errorf("%q %q", ip, agent)
	}
}

package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// flowCookies returns the names of the cookies of flows that a browser holds, for a path of the server.
func (b *browser) flowCookies() (names []string) {
	for _, c := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: publicHost, Path: "/"}) {
		if strings.HasPrefix(c.Name, "__Host-tenantry-oauth-") {
			names = append(names, c.Name)
		}
	}
	return names
}

// stopped returns the browser, which follows no redirect.
func (b *browser) stopped() *browser {
	held := *b.Client
	held.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{instance: b.instance, Client: &held}
}

// The cookie of a flow is removed with the callback that ends the flow, however it ends, and not by a callback that ends none.
func TestStateCookie_isRemovedAtTheCallback(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"), i.offer("second"))
		s.set("acme", welcoming)
		b := s.browser()
		for _, path := range []string{authorizePath, withAddress} {
			callback := b.returning(path)
			if n := len(b.flowCookies()); n != 1 {
				t.Fatalf("%d cookies of flows", n)
			}
			s.expect(http.StatusBadRequest, b.visit(strings.Replace(callback, "/corporate/", "/second/", 1)))
			if n := len(b.flowCookies()); n != 1 {
				t.Errorf("the callback of another provider leaves %d cookies", n)
			}
			b.visit(callback)
			if names := b.flowCookies(); len(names) != 0 {
				t.Errorf("%s: %v are left after the callback", path, names)
			}
		}
		i.change(func() { i.answer["/token"] = failing(http.StatusInternalServerError) })
		s.expect(http.StatusBadGateway, b.visit(authorizePath))
		if names := b.flowCookies(); len(names) != 0 {
			t.Errorf("%v are left after a failure", names)
		}
		ada := s.join("acme", "someone@acme.test", "member")
		i.change(func() { delete(i.answer, "/token") })
		b.linked(linkPath, ada.access)
		if names := b.flowCookies(); len(names) != 0 {
			t.Errorf("%v are left after a link", names)
		}
	})
}

// A browser that begins flows without ending them keeps the last ten, so that its requests stay small.
func TestStateCookie_atMostTenAreKept(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		b := s.browser()
		var callbacks []string
		for range 25 {
			callbacks = append(callbacks, b.returning(authorizePath))
			if n := len(b.flowCookies()); n > 10 {
				t.Fatalf("%d cookies of flows", n)
			}
		}
		// The last ten flows end; the oldest ones have lost their cookie.
		s.expect(http.StatusOK, b.visit(callbacks[15]))
		s.expect(http.StatusOK, b.visit(callbacks[24]))
		s.expect(http.StatusBadRequest, b.visit(callbacks[0]))
		s.expect(http.StatusBadRequest, b.visit(callbacks[14]))

		// A browser that comes with 200 is brought down in a few steps, each of which has headers of a bounded size.
		full := s.browser()
		var many []*http.Cookie
		for n := range 100 {
			many = append(many, &http.Cookie{Name: fmt.Sprintf("__Host-tenantry-oauth-%08d", n), Value: strings.Repeat("v", 43), Path: "/", Secure: true})
		}
		full.Jar.SetCookies(&url.URL{Scheme: "https", Host: publicHost, Path: "/"}, many)
		for range 6 {
			a := s.expect(http.StatusSeeOther, full.stopped().visit(authorizePath))
			if n := len(a.header.Values("Set-Cookie")); n > 21 {
				t.Errorf("%d cookies in one answer", n)
			}
		}
		if n := len(full.flowCookies()); n != 10 {
			t.Errorf("%d cookies of flows, want 10", n)
		}
		access, _ := s.login()
		linking := s.browser()
		for range 12 {
			s.expect(http.StatusOK, linking.beginLink(linkPath, access))
		}
		if n := len(linking.flowCookies()); n != 10 {
			t.Errorf("%d cookies of links, want 10", n)
		}
	})
}

// A browser does not send the cookie of localhost to 127.0.0.1: a flow that begins there could not end.
func TestAuthorize_atAnotherNameOfThisMachineSaysSo(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"), func(c *config.Config) { c.PublicURL = "http://127.0.0.1:8080" })
		s.set("acme", welcoming)
		access, _ := s.login()
		begin := func(method, path, host string) answer {
			r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			r.Header.Set("Authorization", "Bearer "+access)
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body := make([]byte, 4096)
			n, _ := response.Body.Read(body)
			return answer{response.StatusCode, response.Header, body[:n]}
		}
		for _, host := range []string{"localhost:8080", "[::1]:8080", "127.0.0.2:8080"} {
			for method, path := range map[string]string{"GET": authorizePath, "POST": linkPath} {
				a := s.expect(http.StatusBadRequest, begin(method, path, host))
				if a.field(t, "code") != "wrong_host" || !strings.Contains(a.field(t, "detail"), "http://127.0.0.1:8080") {
					t.Errorf("%s: %s", host, a.body)
				}
			}
		}
		// A proxy may send any host, and has a port of its own.
		for _, host := range []string{"127.0.0.1:8080", "localhost:9090", "backend:8080", "id.acme.test"} {
			s.expect(http.StatusSeeOther, begin("GET", authorizePath, host))
		}
	})
}

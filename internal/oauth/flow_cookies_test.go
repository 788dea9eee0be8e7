package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// flowCookies returns the names of the cookies of flows that a browser holds, for a path of the
// server.
func flowCookies(b *apitest.Browser) (names []string) {
	for _, c := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: apitest.PublicHost, Path: "/"}) {
		if strings.HasPrefix(c.Name, "__Host-tenantry-oauth-") {
			names = append(names, c.Name)
		}
	}
	return names
}

// stopped returns the browser, which follows no redirect.
func stopped(b *apitest.Browser) *apitest.Browser {
	held := *b.Client
	held.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &apitest.Browser{Instance: b.Instance, Client: &held}
}

// The cookie of a flow is removed with the callback that ends the flow, however it ends, and not by
// a callback that ends none.
func TestStateCookie_isRemovedAtTheCallback(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"), i.Configure("second"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		for _, path := range []string{apitest.AuthorizePath, apitest.AuthorizeToApplication} {
			callback := b.UntilCallback(path)
			if n := len(flowCookies(b)); n != 1 {
				t.Fatalf("%d cookies of flows", n)
			}
			s.Expect(http.StatusBadRequest, b.Visit(strings.Replace(callback, "/corporate/", "/second/", 1)))
			if n := len(flowCookies(b)); n != 1 {
				t.Errorf("the callback of another provider leaves %d cookies", n)
			}
			b.Visit(callback)
			if names := flowCookies(b); len(names) != 0 {
				t.Errorf("%s: %v are left after the callback", path, names)
			}
		}
		i.Change(func() { i.Handlers["/token"] = failing(http.StatusInternalServerError) })
		s.Expect(http.StatusBadGateway, b.Visit(apitest.AuthorizePath))
		if names := flowCookies(b); len(names) != 0 {
			t.Errorf("%v are left after a failure", names)
		}
		ada := s.CreateUser("acme", "someone@acme.test", "member")
		i.Change(func() { delete(i.Handlers, "/token") })
		b.Link(apitest.LinkPath, ada.Access)
		if names := flowCookies(b); len(names) != 0 {
			t.Errorf("%v are left after a link", names)
		}
	})
}

// A browser that begins flows without ending them keeps the last ten, so that its requests stay
// small.
func TestStateCookie_atMostTenAreKept(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		var callbacks []string
		for range 25 {
			callbacks = append(callbacks, b.UntilCallback(apitest.AuthorizePath))
			if n := len(flowCookies(b)); n > 10 {
				t.Fatalf("%d cookies of flows", n)
			}
		}
		// The last ten flows end; the oldest ones have lost their cookie.
		s.Expect(http.StatusOK, b.Visit(callbacks[15]))
		s.Expect(http.StatusOK, b.Visit(callbacks[24]))
		s.Expect(http.StatusBadRequest, b.Visit(callbacks[0]))
		s.Expect(http.StatusBadRequest, b.Visit(callbacks[14]))

		// A browser that comes with 200 is brought down in a few steps, each of which has headers
		// of a bounded size.
		full := s.Browser()
		var many []*http.Cookie
		for n := range 100 {
			many = append(many, &http.Cookie{Name: fmt.Sprintf("__Host-tenantry-oauth-%08d", n),
				Value: strings.Repeat("v", 43), Path: "/", Secure: true})
		}
		full.Jar.SetCookies(&url.URL{Scheme: "https", Host: apitest.PublicHost, Path: "/"}, many)
		for range 6 {
			a := s.Expect(http.StatusSeeOther, stopped(full).Visit(apitest.AuthorizePath))
			if n := len(a.Header.Values("Set-Cookie")); n > 21 {
				t.Errorf("%d cookies in one answer", n)
			}
		}
		if n := len(flowCookies(full)); n != 10 {
			t.Errorf("%d cookies of flows, want 10", n)
		}
		access, _ := s.Login()
		linking := s.Browser()
		for range 12 {
			s.Expect(http.StatusOK, linking.BeginLink(apitest.LinkPath, access))
		}
		if n := len(flowCookies(linking)); n != 10 {
			t.Errorf("%d cookies of links, want 10", n)
		}
	})
}

// A browser does not send the cookie of localhost to 127.0.0.1: a flow that begins there could not
// end.
func TestAuthorize_atAnotherNameOfThisMachineSaysSo(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"), func(c *config.Config) {
			c.PublicURL = "http://127.0.0.1:8080"
		})
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		begin := func(method, path, host string) apitest.Answer {
			r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
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
			return apitest.Answer{Status: response.StatusCode, Header: response.Header, Body: body[:n]}
		}
		for _, host := range []string{"localhost:8080", "[::1]:8080", "127.0.0.2:8080"} {
			for method, path := range map[string]string{"GET": apitest.AuthorizePath, "POST": apitest.LinkPath} {
				a := s.Expect(http.StatusBadRequest, begin(method, path, host))
				if a.Field(t, "code") != "wrong_host" ||
					!strings.Contains(a.Field(t, "detail"), "http://127.0.0.1:8080") {
					t.Errorf("%s: %s", host, a.Body)
				}
			}
		}
		// A proxy may send any host, and has a port of its own.
		for _, host := range []string{"127.0.0.1:8080", "localhost:9090", "backend:8080", "id.acme.test"} {
			s.Expect(http.StatusSeeOther, begin("GET", apitest.AuthorizePath, host))
		}
	})
}

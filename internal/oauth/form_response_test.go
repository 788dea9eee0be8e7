package oauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// Apple tells the name in its first form, and never again.
func TestAnswer_inAFormNamesTheNewUser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for n, test := range []struct{ claim, user, want string }{
			{"", `{"name":{"firstName":"Ada","lastName":"King"},"email":"mallory@acme.test"}`, "Ada King"},
			{"", `{"name":{"firstName":" Ad\u200ba "}}`, "Ada"},
			{"", `{"name":{"firstName":"Zoë","middleName":"M.","lastName":"O'Neil; \"x\""}}`, `Zoë M. O'Neil; "x"`},
			{"Ada of the token", `{"name":{"firstName":"Mallory"}}`, "Ada of the token"},
			{"", `{"name":"Ada King"}`, "Ada King"},
			{"", `{"name":7}`, ""}, {"", `{`, ""}, {"", "", ""}, {"", `[]`, ""},
		} {
			address := fmt.Sprintf("user%d@acme.test", n)
			i.Change(func() { i.Claims = map[string]any{"sub": address, "email": address, "name": test.claim} })
			b := s.Browser()
			callback, err := url.Parse(b.UntilCallback(apitest.AuthorizePath))
			if err != nil {
				t.Fatal(err)
			}
			form := callback.Query()
			if form.Set("user", test.user); test.user == "" {
				form.Del("user")
			}
			a := s.Expect(http.StatusOK, b.Submit(callback.Path, form))
			for _, hop := range b.Hops {
				if at := hop.Header.Get("Location"); strings.Contains(at, "user") || strings.Contains(at, "Ada") {
					t.Errorf("the name is in the URL %s", at)
				}
			}
			var document struct{ User map[string]any }
			if err := json.Unmarshal(a.Body, &document); err != nil {
				t.Fatal(err)
			}
			if document.User["full_name"] != test.want || document.User["email"] != address {
				t.Errorf("%s: %v has signed in, want %q", test.user, document.User, test.want)
			}
			for _, c := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: apitest.PublicHost, Path: callback.Path}) {
				if strings.Contains(c.Name, "name") {
					t.Errorf("the cookie %s is left", c.Name)
				}
			}
		}
	})
}

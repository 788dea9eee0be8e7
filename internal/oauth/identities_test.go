package oauth_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

const myIdentities = apitest.MePath + "/identities"

// identities returns the identities that an answer lists.
func identities(s *apitest.Instance, path, access string) []api.Identity {
	s.Helper()
	var list api.Identities
	if err := json.Unmarshal(s.Expect(http.StatusOK, s.Call("GET", path, access, nil)).Body, &list); err != nil {
		s.Fatal(err)
	}
	return list.Items
}

// An identity is shown to its user and to holders of users:read of the tenant, and says whether it
// lets the user in.
func TestIdentities_areShownToUserAndReaders(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		google, own := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, google.Configure("google"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		s.CreateTenant("other")
		access, _ := s.Login()
		ada, admin := s.CreateUser("acme", "someone@acme.test", "member"),
			s.CreateUser("acme", "admin@acme.test", "admin")
		stranger := s.CreateUser("other", "owner@other.test", "owner")
		of := "/api/v1/users/" + ada.ID.String() + "/identities"
		shows := func(want ...api.Identity) {
			t.Helper()
			for path, token := range map[string]string{myIdentities: ada.Access, of: admin.Access} {
				got := identities(s, path, token)
				if len(got) != len(want) || len(want) == 1 && got[0] != want[0] {
					t.Errorf("%s shows %v, want %v", path, got, want)
				}
			}
		}
		shows()
		s.Expect(http.StatusNoContent, s.Browser().Link("/api/v1/auth/oauth/google/link", ada.Access))
		shows(api.Identity{Provider: "google", Subject: "sub-1", Active: true})
		s.Expect(http.StatusForbidden, s.Call("GET", of, ada.Access, nil))
		s.Expect(http.StatusNotFound, s.Call("GET", of, stranger.Access, nil))
		s.Expect(http.StatusNotFound, s.Call("GET", "/api/v1/users/"+uuid.NewString()+"/identities", admin.Access, nil))
		if n := s.Call("GET", of, admin.Access, nil).Statements(t); n != "1" {
			t.Errorf("%s statements with an identity", n)
		}

		// Without the provider, under another issuer, or with one of the tenant in its place, it
		// signs no user in.
		for _, offers := range []func(*config.Config){apitest.AllowLoopback, own.Configure("google")} {
			moved := apitest.Start(t, opts, offers, func(c *config.Config) { c.BootstrapPassword = "" })
			if got := identities(moved, myIdentities, ada.Access); len(got) != 1 || got[0].Active {
				t.Errorf("shows %v", got)
			}
		}
		place := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("google", map[string]any{"issuer": own.URL})))
		shows(api.Identity{Provider: "google", Subject: "sub-1"})
		s.Expect(http.StatusNoContent, s.Call("DELETE", apitest.ProvidersPath+"/"+place.Field(t, "id"), access, nil))
		s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/auth/oauth/link", ada.Access, nil))

		path := createProvider(s, access, own.URL)
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		shows(api.Identity{Provider: "corporate", Subject: "sub-1", Own: true, Active: true})
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"enabled": false}))
		shows(api.Identity{Provider: "corporate", Subject: "sub-1", Own: true})
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
		shows()
	})
}

// An identity that a thief has linked does not outlive a password that an operator sets, or one
// that the user changes with unlink_identities.
func TestNewPassword_unlinksIdentities(t *testing.T) {
	t.Parallel()
	const next = "another horse battery staple"
	for _, test := range []struct {
		name   string
		unlink any
		set    func(s *apitest.Instance, ada apitest.Account, unlink any)
		stays  bool
	}{
		{"operator", nil, func(s *apitest.Instance, ada apitest.Account, _ any) {
			if _, err := apitest.RunCommand(s.Context(), apitest.Config(s.Options), s.Logs, next, "user",
				"set-password", "--tenant=acme", ada.Email, apitest.PasswordFromStdin); err != nil {
				s.Fatal(err)
			}
		}, false},
		{"user", true, changePassword, false},
		{"user_who_keeps_it", false, changePassword, true},
		{"user_who_does_not_say", nil, changePassword, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				google := apitest.NewIssuer(t)
				s := apitest.Start(t, opts, google.Configure("corporate"))
				s.ChangeSettings("acme", apitest.OpenToProviders)
				ada := s.CreateUser("acme", "someone@acme.test", "member")
				s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
				google.Change(func() { google.Claims["email"] = "thief@evil.test" })
				thief, late := s.Browser(), s.Browser()
				if id := me(t, s, s.Expect(http.StatusOK,
					thief.Visit(apitest.AuthorizePath)))["id"]; id != ada.ID.String() {
					t.Fatalf("user %s has signed in", id)
				}
				link := late.UntilCallback(late.BeginLink(apitest.LinkPath, ada.Access).Field(t, "authorization_url"))
				test.set(s, ada, test.unlink)
				if !test.stays {
					if a := late.Visit(link); a.Status == http.StatusNoContent || reloaded(s, ada.User).OauthID != nil {
						t.Errorf("an identity is linked by an earlier flow: %d %s", a.Status, a.Body)
					}
				}
				id := me(t, s, s.Expect(http.StatusOK, thief.Visit(apitest.AuthorizePath)))["id"]
				if test.stays != (id == ada.ID.String()) {
					t.Errorf("user %s has signed in at the provider", id)
				}
				if logged := strings.Contains(s.Logs.String(), `"event":"oauth_unlinked"`); logged == test.stays {
					t.Errorf("logged: %t", logged)
				}
				bob := s.CreateUser("acme", "bob@acme.test", "member")
				s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, bob.Access,
					nil)) // the statements count a cached session
				test.set(s, bob, test.unlink)
				for line := range strings.Lines(s.Logs.String()) {
					if strings.Contains(line, `"event":"oauth_unlinked"`) && strings.Contains(line, bob.ID.String()) {
						t.Errorf("logged of a user without an identity: %s", line)
					}
				}
			})
		})
	}
}

func changePassword(s *apitest.Instance, ada apitest.Account, unlink any) {
	s.Helper()
	body := map[string]any{"current_password": apitest.OwnerPassword, "new_password": "another horse battery staple"}
	if unlink != nil {
		body["unlink_identities"] = unlink
	}
	a := s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/password", ada.Access, body))
	if want := map[any]string{true: "8"}[unlink]; want != "" && a.Statements(s.TB) != want {
		s.Errorf("%s statements, want %s", a.Statements(s.TB), want)
	}
	s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, ada.Access, nil))
}

package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

const myIdentities = mePath + "/identities"

// identities returns the identities that an answer lists.
func (s *instance) identities(path, access string) []api.Identity {
	s.Helper()
	var list api.Identities
	if err := json.Unmarshal(s.expect(http.StatusOK, s.call("GET", path, access, nil)).body, &list); err != nil {
		s.Fatal(err)
	}
	return list.Items
}

// An identity is shown to its user and to holders of users:read of the tenant, and says whether it
// lets the user in.
func TestIdentities_areShownToUserAndReaders(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		google, own := newIssuer(t), newIssuer(t)
		s := start(t, opts, google.offer("google"))
		s.set("acme", welcoming)
		s.found("other")
		access, _ := s.login()
		ada, admin := s.join("acme", "someone@acme.test", "member"), s.join("acme", "admin@acme.test", "admin")
		stranger := s.join("other", "owner@other.test", "owner")
		of := "/api/v1/users/" + ada.ID.String() + "/identities"
		shows := func(want ...api.Identity) {
			t.Helper()
			for path, token := range map[string]string{myIdentities: ada.access, of: admin.access} {
				got := s.identities(path, token)
				if len(got) != len(want) || len(want) == 1 && got[0] != want[0] {
					t.Errorf("%s shows %v, want %v", path, got, want)
				}
			}
		}
		shows()
		s.expect(http.StatusNoContent, s.browser().linked("/api/v1/auth/oauth/google/link", ada.access))
		shows(api.Identity{Provider: "google", Subject: "sub-1", Active: true})
		s.expect(http.StatusForbidden, s.call("GET", of, ada.access, nil))
		s.expect(http.StatusNotFound, s.call("GET", of, stranger.access, nil))
		s.expect(http.StatusNotFound, s.call("GET", "/api/v1/users/"+uuid.NewString()+"/identities", admin.access, nil))
		if n := s.call("GET", of, admin.access, nil).statements(t); n != "2" {
			t.Errorf("%s statements with an identity", n)
		}

		// Without the provider, under another issuer, or with one of the tenant in its place, it lets nobody in.
		for _, offers := range []func(*config.Config){loopback, own.offer("google")} {
			moved := start(t, opts, offers, func(c *config.Config) { c.BootstrapPassword = "" })
			if got := moved.identities(myIdentities, ada.access); len(got) != 1 || got[0].Active {
				t.Errorf("shows %v", got)
			}
		}
		place := s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("google", map[string]any{"issuer": own.URL})))
		shows(api.Identity{Provider: "google", Subject: "sub-1"})
		s.expect(http.StatusNoContent, s.call("DELETE", providersPath+"/"+place.field(t, "id"), access, nil))
		s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/auth/oauth/link", ada.access, nil))

		path := s.createProvider(access, own.URL)
		s.expect(http.StatusNoContent, s.browser().linked(linkPath, ada.access))
		shows(api.Identity{Provider: "corporate", Subject: "sub-1", Own: true, Active: true})
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"enabled": false}))
		shows(api.Identity{Provider: "corporate", Subject: "sub-1", Own: true})
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
		shows()
	})
}

// An identity that a thief has linked does not outlive a password that an operator sets, or one that
// the user changes with unlink_identities.
func TestNewPassword_unlinksIdentities(t *testing.T) {
	t.Parallel()
	const next = "another horse battery staple"
	for _, test := range []struct {
		name   string
		unlink any
		set    func(s *instance, ada person, unlink any)
		stays  bool
	}{
		{"operator", nil, func(s *instance, ada person, _ any) {
			if _, err := runCommand(s.Context(), testConfig(s.opts), s.log, next, "user", "set-password", "--tenant=acme", ada.Email, withPassword); err != nil {
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
				google := newIssuer(t)
				s := start(t, opts, google.offer("corporate"))
				s.set("acme", welcoming)
				ada := s.join("acme", "someone@acme.test", "member")
				s.expect(http.StatusNoContent, s.browser().linked(linkPath, ada.access))
				google.change(func() { google.person["email"] = "thief@evil.test" })
				thief, late := s.browser(), s.browser()
				if id := me(t, s, s.expect(http.StatusOK, thief.visit(authorizePath)))["id"]; id != ada.ID.String() {
					t.Fatalf("user %s has signed in", id)
				}
				link := late.returning(late.beginLink(linkPath, ada.access).field(t, "authorization_url"))
				test.set(s, ada, test.unlink)
				if !test.stays {
					if a := late.visit(link); a.status == http.StatusNoContent || s.reloaded(ada.User).OauthID != nil {
						t.Errorf("an identity is linked by a flow of before: %d %s", a.status, a.body)
					}
				}
				id := me(t, s, s.expect(http.StatusOK, thief.visit(authorizePath)))["id"]
				if test.stays != (id == ada.ID.String()) {
					t.Errorf("user %s has signed in at the provider", id)
				}
				if logged := strings.Contains(s.log.String(), `"event":"oauth_unlinked"`); logged == test.stays {
					t.Errorf("logged: %t", logged)
				}
				bob := s.join("acme", "bob@acme.test", "member")
				s.expect(http.StatusOK, s.call("GET", mePath, bob.access, nil)) // the statements count a cached session
				test.set(s, bob, test.unlink)
				for line := range strings.Lines(s.log.String()) {
					if strings.Contains(line, `"event":"oauth_unlinked"`) && strings.Contains(line, bob.ID.String()) {
						t.Errorf("logged of a user without an identity: %s", line)
					}
				}
			})
		})
	}
}

func changePassword(s *instance, ada person, unlink any) {
	s.Helper()
	body := map[string]any{"current_password": ownerPassword, "new_password": "another horse battery staple"}
	if unlink != nil {
		body["unlink_identities"] = unlink
	}
	a := s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/password", ada.access, body))
	if want := map[any]string{true: "8"}[unlink]; want != "" && a.statements(s.TB) != want {
		s.Errorf("%s statements, want %s", a.statements(s.TB), want)
	}
	s.expect(http.StatusOK, s.call("GET", mePath, ada.access, nil))
}

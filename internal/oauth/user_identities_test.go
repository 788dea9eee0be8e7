package oauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"tenantry/ent"
	"tenantry/ent/useridentity"
	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const (
	authorizeGitHub = "/api/v1/auth/oauth/github/authorize"
	linkGitHub      = "/api/v1/auth/oauth/github/link"
	linkGoogle      = "/api/v1/auth/oauth/google/link"
)

// twoProviders starts a server with the providers google and github, whose identities of Ada are
// g-1 and h-1, and returns Ada, who has a password and is linked to both.
func twoProviders(t *testing.T, opts database.Options) (*apitest.Instance, apitest.Account) {
	t.Helper()
	google, github := apitest.NewIssuer(t), apitest.NewIssuer(t)
	google.Change(func() { google.Claims = map[string]any{"sub": "g-1", "email": "ada@google.test"} })
	github.Change(func() { github.Claims = map[string]any{"sub": "h-1", "email": "ada@github.test"} })
	s := apitest.Start(t, opts, google.Configure("google"), github.Configure("github"))
	s.ChangeSettings("acme", apitest.OpenToProviders)
	ada := s.CreateUser("acme", "ada@acme.test", "member")
	s.Expect(http.StatusNoContent, s.Browser().Link(linkGoogle, ada.Access))
	s.Expect(http.StatusNoContent, s.Browser().Link(linkGitHub, ada.Access))
	return s, ada
}

// subjects returns the subjects of the identities of a user, oldest first, and fails the test if
// the first one is not the primary identity.
func subjects(s *apitest.Instance, u *ent.User) (all []string) {
	s.Helper()
	stored := s.DB.Client.UserIdentity.Query().Where(useridentity.UserID(u.ID)).
		Order(useridentity.ByCreatedAt(), useridentity.ByID()).AllX(principal.System(s.Context(), "test"))
	for _, i := range stored {
		all = append(all, i.Subject)
	}
	primary := reloaded(s, u)
	switch {
	case len(stored) == 0 && (primary.OauthID != nil || primary.OauthProvider != nil),
		len(stored) > 0 && (primary.OauthID == nil || *primary.OauthID != stored[0].Subject ||
			*primary.OauthProvider != stored[0].Provider):
		s.Errorf("primary identity %v %v of %v", primary.OauthProvider, primary.OauthID, all)
	}
	return all
}

func expectSubjects(s *apitest.Instance, u *ent.User, want ...string) {
	s.Helper()
	if got := subjects(s, u); !slices.Equal(got, want) {
		s.Errorf("identities %v, want %v", got, want)
	}
}

func unlinkFrom(s *apitest.Instance, provider, access string) apitest.Answer {
	return s.Call("DELETE", myIdentities+"/"+provider, access, nil)
}

func TestIdentities_ofTwoProvidersBothSignInAndUnlinkSeparately(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, ada := twoProviders(t, opts)
		expectSubjects(s, ada.User, "g-1", "h-1")
		for _, path := range []string{googlePath, authorizeGitHub} {
			if id := me(t, s, s.Expect(http.StatusOK, s.Browser().Visit(path)))["id"]; id != ada.ID.String() {
				t.Errorf("%s signs in %s, want %s", path, id, ada.ID)
			}
		}
		other := s.SignIn("acme", ada.User)
		s.Expect(http.StatusNotFound, unlinkFrom(s, "gitlab", ada.Access))
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, other.Access, nil))
		s.CatchUp()
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, ada.Access, nil))
		if n := s.Expect(http.StatusNoContent, unlinkFrom(s, "google", ada.Access)).Statements(t); n != "6" {
			t.Errorf("unlink: %s statements", n)
		}
		expectSubjects(s, ada.User, "h-1")
		s.Expect(http.StatusUnauthorized, s.Call("GET", apitest.MePath, other.Access, nil))
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, ada.Access, nil))
		if id := me(t, s, s.Expect(http.StatusOK, s.Browser().Visit(authorizeGitHub)))["id"]; id != ada.ID.String() {
			t.Errorf("the other provider signs in %s, want %s", id, ada.ID)
		}
		if id := me(t, s, s.Expect(http.StatusOK, s.Browser().Visit(googlePath)))["id"]; id == ada.ID.String() {
			t.Error("the unlinked identity signs in")
		}
		s.Expect(http.StatusNoContent, unlinkFrom(s, "github", ada.Access))
		expectSubjects(s, ada.User)
	})
}

func TestIdentities_includedInTheSignedInUser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, ada := twoProviders(t, opts)
		admin := s.CreateUser("acme", "admin@acme.test", "admin")
		want := []api.Identity{{Provider: "google", Subject: "g-1", Active: true},
			{Provider: "github", Subject: "h-1", Active: true}}
		for _, test := range []struct{ path, access, statements string }{
			{apitest.MePath + "?include=identities", ada.Access, "1"},
			{apitest.MePath + "?include=roles,identities", ada.Access, "3"},
			{"/api/v1/users/" + ada.ID.String() + "?include=identities", admin.Access, "2"},
		} {
			s.CatchUp()
			s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, test.access, nil))
			a := s.Expect(http.StatusOK, s.Call("GET", test.path, test.access, nil))
			var u api.User
			if err := json.Unmarshal(a.Body, &u); err != nil {
				t.Fatal(err)
			}
			if u.Identities == nil || !slices.Equal(*u.Identities, want) || u.Email != ada.Email {
				t.Errorf("%s: %s", test.path, a.Body)
			}
			if n := a.Statements(t); n != test.statements {
				t.Errorf("%s: %s statements, want %s", test.path, n, test.statements)
			}
		}
		if got := identities(s, myIdentities, ada.Access); !slices.Equal(got, want) {
			t.Errorf("listed %v", got)
		}
	})
}

// The last sign-in method is a password, or an identity at a provider that signs in.
func TestUnlink_keepsTheLastSignInMethod(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, ada := twoProviders(t, opts)
		ctx := principal.System(t.Context(), "test")
		s.DB.Client.User.UpdateOne(ada.User).ClearPasswordHash().ExecX(ctx)
		refused := func(a apitest.Answer) {
			t.Helper()
			if s.Expect(http.StatusConflict, a).Field(t, "code") != "last_way_in" {
				t.Errorf("refused with %s", a.Body)
			}
		}
		refused(s.Call("DELETE", "/api/v1/auth/oauth/link", ada.Access, nil))
		expectSubjects(s, ada.User, "g-1", "h-1")
		s.Expect(http.StatusNoContent, unlinkFrom(s, "google", ada.Access))
		refused(unlinkFrom(s, "github", ada.Access))

		own := apitest.NewIssuer(t)
		root, _ := s.Login()
		path := createProvider(s, root, own.URL)
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		s.Expect(http.StatusOK, s.Call("PATCH", path, root, map[string]any{"enabled": false}))
		refused(unlinkFrom(s, "github", ada.Access))
		s.Expect(http.StatusOK, s.Call("PATCH", path, root, map[string]any{"enabled": true}))
		s.Expect(http.StatusNoContent, unlinkFrom(s, "github", ada.Access))
		expectSubjects(s, ada.User, "sub-1")
	})
}

func TestUnlink_concurrentKeepsASignInMethod(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, ada := twoProviders(t, opts)
		for range 5 {
			s.DB.Client.User.UpdateOne(ada.User).ClearPasswordHash().ExecX(principal.System(t.Context(), "test"))
			var all sync.WaitGroup
			var statuses [2]int
			for n, provider := range []string{"google", "github"} {
				all.Go(func() { statuses[n] = unlinkFrom(s, provider, ada.Access).Status })
			}
			all.Wait()
			if left := subjects(s, ada.User); len(left) != 1 {
				t.Fatalf("left %v after %v", left, statuses)
			}
			for _, link := range []string{linkGoogle, linkGitHub} {
				s.Browser().Link(link, ada.Access)
			}
		}
	})
}

func TestLink_concurrentOfOneIdentityHasOneWinner(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for round := range 5 {
			i.Change(func() { i.Claims = map[string]any{"sub": fmt.Sprint("sub-", round)} })
			var all sync.WaitGroup
			statuses := make([]int, 4)
			for n := range statuses {
				u := s.CreateUser("acme", fmt.Sprintf("user-%d-%d@acme.test", round, n), "member")
				b := s.Browser()
				callback := b.UntilCallback(b.BeginLink(apitest.LinkPath, u.Access).Field(t, "authorization_url"))
				all.Go(func() { statuses[n] = b.Visit(callback).Status })
			}
			all.Wait()
			slices.Sort(statuses)
			if !slices.Equal(statuses, []int{204, 409, 409, 409}) {
				t.Errorf("statuses %v", statuses)
			}
		}
	})
}

// Resetting an account removes all of its identities.
func TestIdentities_allRemovedByAResetOfTheAccount(t *testing.T) {
	t.Parallel()
	for name, reset := range map[string]func(s *apitest.Instance, ada apitest.Account){
		"unlink_all": func(s *apitest.Instance, ada apitest.Account) {
			s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/auth/oauth/link", ada.Access, nil))
		},
		"password": func(s *apitest.Instance, ada apitest.Account) { changePassword(s, ada, true) },
		"operator": func(s *apitest.Instance, ada apitest.Account) {
			if _, err := apitest.RunCommand(s.Context(), apitest.Config(s.Options), s.Logs,
				"another horse battery staple",
				"user", "set-password", "--tenant=acme", ada.Email, apitest.PasswordFromStdin); err != nil {
				s.Fatal(err)
			}
		},
		"deletion": func(s *apitest.Instance, ada apitest.Account) {
			root, _ := s.Login()
			s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/users/"+ada.ID.String(), root, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				s, ada := twoProviders(t, opts)
				reset(s, ada)
				if n := s.Rows("user_identities"); n != 0 {
					t.Errorf("%d identities remain", n)
				}
				for _, path := range []string{googlePath, authorizeGitHub} {
					a := s.Expect(http.StatusOK, s.Browser().Visit(path))
					if id := me(t, s, a)["id"]; id == ada.ID.String() {
						t.Errorf("%s still signs in", path)
					}
				}
			})
		})
	}
}

// O-09: an account with an unverified address loses all identities to the owner of the address.
func TestAccount_claimedByAddressLosesAllIdentities(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, attacker := twoProviders(t, opts)
		strict := apitest.NewIssuer(t)
		owned := apitest.Start(t, opts, strict.Configure("corporate"))
		strict.Change(func() { strict.Claims["email"] = attacker.Email })
		a := owned.Expect(http.StatusOK, owned.Browser().Visit(apitest.AuthorizePath))
		if id := me(t, owned, a)["id"]; id != attacker.ID.String() {
			t.Fatalf("user %s has signed in", id)
		}
		expectSubjects(s, attacker.User, "sub-1")
		i := s.DB.Client.UserIdentity.Query().OnlyX(principal.System(t.Context(), "test"))
		if i.VerifiedBy != useridentity.VerifiedByEmail {
			t.Errorf("verified by %s", i.VerifiedBy)
		}
	})
}

func TestTenantProvider_deletedUnlinksSecondaryIdentities(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, ada := twoProviders(t, opts)
		own := apitest.NewIssuer(t)
		root, _ := s.Login()
		path := createProvider(s, root, own.URL)
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		expectSubjects(s, ada.User, "g-1", "h-1", "sub-1")
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, root, nil))
		expectSubjects(s, ada.User, "g-1", "h-1")
	})
}

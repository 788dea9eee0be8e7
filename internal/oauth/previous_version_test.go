package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/useridentity"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// The previous version knows the primary identity alone, and writes it with these statements. Each
// holds for all identities at once.
func TestPreviousVersion_linksAndUnlinksIdentities(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s, ada := twoProviders(t, opts)
		ctx := principal.System(t.Context(), "test")
		google := *reloaded(s, ada.User).OauthProvider
		github := s.DB.Client.UserIdentity.Query().Where(useridentity.Subject("h-1")).OnlyX(ctx).Provider
		exec := func(set string) error {
			_, err := s.DB.Client.ExecContext(t.Context(), "UPDATE users SET "+set+" WHERE id = '"+ada.ID.String()+"'")
			return err
		}
		must := func(set string) {
			t.Helper()
			if err := exec(set); err != nil {
				t.Fatal(err)
			}
		}

		// It deletes the provider of the primary identity, and then sees the next one.
		must("oauth_provider = NULL, oauth_id = NULL")
		expectSubjects(s, ada.User, "h-1")
		must("oauth_provider = NULL, oauth_id = NULL")
		expectSubjects(s, ada.User)

		// It links.
		must("oauth_provider = '" + google + "', oauth_id = 'g-1'")
		expectSubjects(s, ada.User, "g-1")
		if id := me(t, s, s.Expect(http.StatusOK, s.Browser().Visit(googlePath)))["id"]; id != ada.ID.String() {
			t.Errorf("user %s has signed in, want %s", id, ada.ID)
		}
		must("oauth_provider = '" + google + "', oauth_id = 'g-1', full_name = 'Ada'") // again
		s.Expect(http.StatusNoContent, s.Browser().Link(linkGitHub, ada.Access))
		expectSubjects(s, ada.User, "g-1", "h-1")

		// It resets the account for the owner of its address, who may have a known identity.
		must("oauth_provider = '" + google + "', oauth_id = 'g-2', password_version = password_version + 1")
		expectSubjects(s, ada.User, "g-2")
		ada = s.SignIn("acme", ada.User)
		s.Expect(http.StatusNoContent, s.Browser().Link(linkGitHub, ada.Access))
		must("oauth_provider = '" + github + "', oauth_id = 'h-1', password_version = password_version + 1")
		expectSubjects(s, ada.User, "h-1")

		// It unlinks, or sets a password without the identity.
		ada = s.SignIn("acme", ada.User)
		s.Expect(http.StatusNoContent, s.Browser().Link(linkGoogle, ada.Access))
		must("oauth_provider = NULL, oauth_id = NULL, password_version = password_version + 1")
		expectSubjects(s, ada.User)

		// It cannot link an identity that this version has linked to another user.
		bob := s.CreateUser("acme", "bob@acme.test", "member")
		s.Expect(http.StatusNoContent, s.Browser().Link(linkGoogle, bob.Access))
		s.Expect(http.StatusNoContent, s.Browser().Link(linkGitHub, bob.Access))
		err := exec("oauth_provider = '" + github + "', oauth_id = 'h-1'")
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "unique constraint") {
			t.Errorf("the identity of another user: %v", err)
		}
		expectSubjects(s, ada.User)
		expectSubjects(s, bob.User, "g-1", "h-1")
	})
}

func TestPreviousVersion_registersAndDeletes(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own := apitest.NewIssuer(t)
		s, ada := twoProviders(t, opts)
		ctx := principal.System(t.Context(), "test")
		root, _ := s.Login()
		path := createProvider(s, root, own.URL)
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		u := s.DB.Client.User.Create().SetTenantID(ada.TenantID).SetEmail("new@acme.test").SetOauthProvider("gitlab:x").
			SetOauthID("n-1").SaveX(ctx)
		expectSubjects(s, u, "n-1")
		created := s.DB.Client.UserIdentity.Query().Where(useridentity.UserID(u.ID)).OnlyX(ctx)
		if created.VerifiedBy != useridentity.VerifiedByRegistration || created.TenantID != ada.TenantID ||
			created.ID.Version() != 7 || created.ID.Variant() != uuid.RFC4122 || !created.CreatedAt.Equal(u.UpdatedAt) {
			t.Errorf("created %v", created)
		}
		if a, b := created.ID.Time(), u.ID.Time(); a-b > 600e7 || b-a > 600e7 {
			t.Errorf("the ID %s has another time than %s", created.ID, u.ID)
		}
		if _, err := s.DB.Client.ExecContext(t.Context(), "DELETE FROM users WHERE id = '"+u.ID.String()+
			"'"); err != nil {
			t.Fatal(err)
		}
		_, err := s.DB.Client.ExecContext(t.Context(), "DELETE FROM oauth_providers WHERE id = '"+
			strings.TrimPrefix(path, apitest.ProvidersPath+"/")+"'")
		if err != nil {
			t.Fatal(err)
		}
		expectSubjects(s, ada.User, "g-1", "h-1")
		if n := s.Rows("user_identities"); n != 2 {
			t.Errorf("%d identities", n)
		}
	})
}

package sessions

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthprovider"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// startAt starts a session that a provider of the tenant has started.
func (s *Sessions) startAt(m member, p *ent.OAuthProvider) (uuid.UUID, error) {
	at := Provider{ID: uuid.NullUUID{UUID: p.ID, Valid: true}, Generation: p.Generation}
	session, _, err := s.insertSession(m.ctx, s.client, m.Projection, Authentication{Provider: at})
	return session, err
}

// A session of a provider that is not what it was is refused before and after its row is marked,
// and no session begins any more. A change by SQL counts as well.
func TestSessionProvider_removedRevokesItsSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, ada := limited(db.Client, 100), members(t, db, "acme", 1)[0]
		system := principal.System(t.Context(), "test")
		marker := a.NewRevokedMarker()
		other := a.start(t, ada)
		for i, remove := range []string{
			"DELETE FROM oauth_providers WHERE id = $1",
			"UPDATE oauth_providers SET enabled = false WHERE id = $1",
			"UPDATE oauth_providers SET generation = generation + 1 WHERE id = $1",
		} {
			provider := db.Client.OAuthProvider.Create().SetTenantID(ada.TenantID).SetName(fmt.Sprint("p", i)).
				SetKind(oauthprovider.KindOidc).SetLabel("x").SetClientID("x").SaveX(system)
			session, err := a.startAt(ada, provider)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := a.rotate(system, refreshToken{session, 0}, time.Hour); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Client.ExecContext(t.Context(), remove, provider.ID); err != nil {
				t.Fatal(err)
			}
			for _, marked := range []bool{false, true} {
				p, err := loadProjection(system, db.Client, bySession(session, a.opts.Clock()))
				if p != nil || err != nil {
					t.Errorf("%s, marked %v: %v, %v", remove, marked, p, err)
				}
				found, err := loadProjections(system, db.Client, []uuid.UUID{session, other}, a.opts.Clock())
				if found[session] != nil || found[other] == nil || err != nil {
					t.Errorf("%s, marked %v: %v, %v", remove, marked, found, err)
				}
				for counter := range int64(3) {
					if _, again, err := a.rotate(system, refreshToken{session, counter}, time.Hour); again ||
						!errors.Is(err, errSessionOver) {
						t.Errorf("%s, marked %v, token %d: %v, %v", remove, marked, counter, again, err)
					}
				}
				listed, err := a.List(ada.ctx, ada.User, ada.TenantSettings)
				if err != nil || len(listed) != 1 || listed[0].ID != other {
					t.Errorf("%s, marked %v: %v, %v", remove, marked, listed, err)
				}
				if _, err := a.startAt(ada, provider); !errors.Is(err, ErrProviderDisabled) {
					t.Errorf("%s, marked %v: a session begins: %v", remove, marked, err)
				}
				if err := marker.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				row := db.Client.RefreshToken.GetX(system, session)
				if !row.Revoked || *row.RevokedReason != refreshtoken.RevokedReasonProviderRemoved {
					t.Errorf("%s: the row is not marked: %v", remove, row)
				}
			}
		}
		if db.Client.RefreshToken.GetX(system, other).Revoked {
			t.Error("a session without a provider is revoked")
		}
	})
}

// No session begins by a provider of another tenant.
func TestSessionProvider_ofAnotherTenantStartsNoSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, ada, bob := limited(db.Client, 100), members(t, db, "acme", 1)[0], members(t, db, "other", 1)[0]
		provider := db.Client.OAuthProvider.Create().SetTenantID(bob.TenantID).SetName("corporate").
			SetKind(oauthprovider.KindOidc).
			SetLabel("x").SetClientID("x").SaveX(principal.System(t.Context(), "test"))
		if _, err := a.startAt(ada, provider); !errors.Is(err, ErrProviderDisabled) {
			t.Errorf("a session begins: %v", err)
		}
	})
}

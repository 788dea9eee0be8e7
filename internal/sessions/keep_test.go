package sessions

import (
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A password change keeps the session that asks. One that was revoked meanwhile, by a version that
// the change has not read, stays so.
func TestKeepSession_revokedSessionIsNotKept(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := principal.System(t.Context(), "test")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
		ada := db.Client.User.Create().SetTenantID(home.ID).SetEmail("ada@acme.test").SaveX(ctx)
		start := func(version int) *ent.RefreshToken {
			return db.Client.RefreshToken.Create().SetTenantID(home.ID).SetUserID(ada.ID).SetPasswordVersion(version).
				SetExpiresAt(time.Now().UTC().Add(time.Hour)).SaveX(ctx)
		}
		older, marked, live := start(0), start(1), start(1)
		db.Client.RefreshToken.UpdateOne(marked).SetRevoked(true).ExecX(ctx)
		for name, session := range map[string]*ent.RefreshToken{"older": older, "marked": marked} {
			if err := Keep(ctx, db.Client, ada.ID, session.ID, 2); err == nil {
				t.Errorf("%s: kept", name)
			}
		}
		if err := Keep(ctx, db.Client, ada.ID, live.ID, 2); err != nil {
			t.Error(err)
		}
	})
}

// A sign-out that waits for a password change which keeps the session must revoke it: it has read
// the user before the commit.
func TestRevoke_besideAPasswordChangeThatKeepsTheSession(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.Postgres(t))
	ctx := principal.System(t.Context(), "test")
	home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
	ada := db.Client.User.Create().SetTenantID(home.ID).SetEmail("ada@acme.test").SaveX(ctx)
	session := db.Client.RefreshToken.Create().SetTenantID(home.ID).SetUserID(ada.ID).
		SetExpiresAt(time.Now().UTC().Add(time.Hour)).SaveX(ctx)
	change, err := db.Client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	change.User.UpdateOne(ada).AddPasswordVersion(1).ExecX(ctx)
	if err := Keep(ctx, change.Client(), ada.ID, session.ID, 1); err != nil {
		t.Fatal(err)
	}
	revoked := make(chan bool)
	go func() {
		live, err := (&Sessions{client: db.Client}).revoke(ctx, refreshtoken.RevokedReasonLogout,
			refreshtoken.ID(session.ID))
		revoked <- live && err == nil
	}()
	for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
		if err := db.SQL.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := change.Commit(); err != nil {
		t.Fatal(err)
	}
	if !<-revoked || !db.Client.RefreshToken.GetX(ctx, session.ID).Revoked {
		t.Error("the session is live after the sign-out")
	}
}

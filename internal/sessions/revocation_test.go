package sessions

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// A session that a raised password_version has revoked is refused alike before and after its row is
// marked: by a refresh that has found it in the cache, by the list, and by the operations that end
// a session.
func TestRevokedSession_isRefusedBeforeItIsMarked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, all := limited(db.Client, 100), members(t, db, "acme", 2)
		a.opts.RefreshGrace, a.opts.Log = time.Minute, slog.New(slog.DiscardHandler)
		system := principal.System(t.Context(), "test")
		for _, marked := range []bool{false, true} {
			ada := all[0]
			if marked {
				ada = all[1]
			}
			session := a.start(t, ada)
			for counter := range int64(3) {
				if _, _, err := a.rotate(system, refreshToken{session, counter}, time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			if err := RevokeAll(ada.ctx, db.Client, ada.ID); err != nil {
				t.Fatal(err)
			}
			if marked {
				MarkRevoked(ada.ctx, db.Client, ada.ID, refreshtoken.RevokedReasonAdministrator)
			}
			before := db.Client.RefreshToken.GetX(system, session)
			for counter := range int64(5) { // reused, reused, in the grace window, live, and ahead of the row
				_, again, err := a.rotate(system, refreshToken{session, counter}, time.Hour)
				if again || !errors.Is(err, errSessionOver) || errors.Is(err, errReuse) {
					t.Errorf("marked %v, token %d: %v, %v", marked, counter, again, err)
				}
			}
			p, ok := errors.AsType[*problem.Problem](a.End(ada.ctx, ada.ID, session))
			if !ok || p.Status != http.StatusNotFound {
				t.Errorf("marked %v: ended again, with %v", marked, p)
			}
			if _, err := a.revoke(system, refreshtoken.RevokedReasonLogout, refreshtoken.ID(session)); err != nil {
				t.Error(err)
			}
			user := db.Client.User.GetX(system, ada.ID)
			if listed, err := a.List(ada.ctx, user, ada.TenantSettings); err != nil || len(listed) != 0 {
				t.Errorf("marked %v: listed %v, %v", marked, listed, err)
			}
			after := db.Client.RefreshToken.GetX(system, session)
			if after.Revoked != marked || after.Counter != before.Counter || !after.UpdatedAt.Equal(before.UpdatedAt) {
				t.Errorf("marked %v: %v has become %v", marked, before, after)
			}
			if reason := after.RevokedReason; marked &&
				(reason == nil || *reason != refreshtoken.RevokedReasonAdministrator) {
				t.Errorf("marked with %v", reason)
			}
		}
	})
}

// The operation marks a bounded number of rows, also if the client has disconnected, and leaves
// live sessions.
func TestMarkRevoked_marksABoundedNumber(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		all := members(t, db, "acme", 2)
		system := principal.System(t.Context(), "test")
		for _, m := range all {
			dbtest.GiveSessions(t, db, m.TenantID, m.ID, 0, markedAtOnce+10)
		}
		if err := RevokeAll(all[0].ctx, db.Client, all[0].ID); err != nil {
			t.Fatal(err)
		}
		marked := func(m member) int {
			of := db.Client.RefreshToken.Query().Where(refreshtoken.UserID(m.ID), refreshtoken.Revoked(true))
			return of.CountX(system)
		}
		gone, hangUp := context.WithCancel(all[0].ctx)
		hangUp()
		for _, want := range []int{markedAtOnce, markedAtOnce + 10, markedAtOnce + 10} {
			MarkRevoked(gone, db.Client, all[0].ID, refreshtoken.RevokedReasonLogout)
			if n := marked(all[0]); n != want {
				t.Errorf("%d are marked, want %d", n, want)
			}
		}
		MarkRevoked(all[1].ctx, db.Client, all[1].ID, refreshtoken.RevokedReasonLogout)
		if n := marked(all[1]); n != 0 {
			t.Errorf("%d live sessions are marked", n)
		}
	})
}

// The marker marks the sessions that an operation has left, page by page, with a reason, and leaves
// every other session as it is.
func TestRevokedMarker_marksRemainingSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, all := limited(db.Client, 100), members(t, db, "acme", 3)
		system := principal.System(t.Context(), "test")
		const each = markerPage // so that there are three pages, and something for it in each
		for _, m := range all {
			dbtest.GiveSessions(t, db, m.TenantID, m.ID, 0, each)
		}
		later := a.NewRevokedMarker()
		run := func(m *RevokedMarker) {
			t.Helper()
			if err := m.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 { // pages that have nothing for it
			run(later)
		}
		for _, m := range all[:2] {
			db.Client.User.UpdateOneID(m.ID).AddPasswordVersion(1).ExecX(system)
		}
		db.Client.RefreshToken.Update().Where(refreshtoken.UserID(all[0].ID)).
			SetRevoked(true).SetRevokedReason(refreshtoken.RevokedReasonLogout).ExecX(system)
		for range 8 {
			run(later)
		}
		for i, want := range []struct {
			revoked int
			reason  refreshtoken.RevokedReason
		}{{each, refreshtoken.RevokedReasonLogout}, {each, refreshtoken.RevokedReasonPasswordVersion}, {0, ""}} {
			of := db.Client.RefreshToken.Query().Where(refreshtoken.UserID(all[i].ID), refreshtoken.Revoked(true))
			if n := of.Clone().CountX(system); n != want.revoked {
				t.Errorf("user %d: %d are marked, want %d", i, n, want.revoked)
			}
			if n := of.Where(refreshtoken.RevokedReasonEQ(want.reason)).CountX(system); n != want.revoked {
				t.Errorf("user %d: %d are marked with %q", i, n, want.reason)
			}
		}
	})
}

package sessions

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/cache"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// limited is an Auth that starts sessions and limits their number.
func limited(client *ent.Client, limit int) *Sessions {
	return &Sessions{client: client, opts: Options{
		Clock: func() time.Time { return time.Now().UTC() }, PerUser: limit, Cache: cache.New(0),
		Lifetimes: Lifetimes{RefreshToken: 720 * time.Hour, RefreshIdle: 24 * time.Hour},
	}}
}

// member is a user of a tenant, and a context in which the user acts.
type member struct {
	*Projection
	ctx context.Context
}

// members makes a tenant with n users.
func members(t *testing.T, db *database.DB, slug string, n int) (all []member) {
	t.Helper()
	home := db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(principal.System(t.Context(), "test"))
	ctx := principal.NewContext(t.Context(), principal.InTenant(home.ID))
	for range n {
		u := db.Client.User.Create().SetEmail(uuid.NewString() + "@acme.test").SaveX(ctx)
		acting := principal.NewContext(t.Context(), &principal.Principal{TenantID: home.ID, UserID: u.ID})
		all = append(all, member{&Projection{User: u}, acting})
	}
	return all
}

// start starts a session of a user.
func (s *Sessions) start(t *testing.T, m member) uuid.UUID {
	t.Helper()
	session, _, err := s.insertSession(m.ctx, s.client, m.Projection, Authentication{
		At: time.Now(), Methods: []string{"pwd"}, From: Origin{IP: "192.0.2.1", UserAgent: "test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// live returns the ids of the sessions of a user that are not revoked, the least recently refreshed
// first.
func live(t *testing.T, db *database.DB, m member) []uuid.UUID {
	t.Helper()
	return db.Client.RefreshToken.Query().Where(refreshtoken.UserID(m.ID), unrevoked).
		Order(refreshtoken.ByRotatedAt(), refreshtoken.ByID()).IDsX(principal.System(t.Context(), "test"))
}

func TestStart_beyondTheLimitRevokesTheSessionRefreshedLongestAgo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, all := limited(db.Client, 3), members(t, db, "acme", 2)
		ctx, ada, other := principal.System(t.Context(), "test"), all[0], all[1]
		first, second, third, others := a.start(t, ada), a.start(t, ada), a.start(t, ada), a.start(t, other)
		n := db.Client.RefreshToken.Query().Where(refreshtoken.Revoked(true)).CountX(ctx)
		if n != 0 || a.opts.Cache.Writes() != 0 {
			t.Errorf("below the limit %d sessions were ended, and %d writes reported", n, a.opts.Cache.Writes())
		}
		// As a refresh does.
		db.Client.RefreshToken.UpdateOneID(first).SetRotatedAt(time.Now().Add(time.Minute)).ExecX(ctx)
		fourth := a.start(t, ada)
		ended := db.Client.RefreshToken.GetX(ctx, second)
		if !ended.Revoked || !ended.UpdatedAt.After(ended.CreatedAt) {
			t.Errorf("ended %v", ended)
		}
		if reason := ended.RevokedReason; reason == nil || *reason != refreshtoken.RevokedReasonSessionLimit {
			t.Errorf("ended for %v", reason)
		}
		if a.opts.Cache.Writes() != 1 {
			t.Errorf("%d writes were reported to the cache", a.opts.Cache.Writes())
		}
		for _, id := range []uuid.UUID{first, third, fourth, others} {
			s := db.Client.RefreshToken.GetX(ctx, id)
			if s.Revoked || s.IP != "192.0.2.1" || s.UserAgent != "test" || s.TenantID != ada.TenantID {
				t.Errorf("left %v", s)
			}
		}
	})
}

// Sessions that are revoked, expired, idle or of an older password version do not count, and stay
// as they are.
func TestSessionLimit_countsOnlyLiveSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, ada := limited(db.Client, 2), members(t, db, "acme", 1)[0]
		ctx := principal.System(t.Context(), "test")
		revoked, idle, older := a.start(t, ada), a.start(t, ada), a.start(t, ada)
		db.Client.RefreshToken.Delete().ExecX(ctx)
		create := func() *ent.RefreshTokenCreate {
			return db.Client.RefreshToken.Create().SetTenantID(ada.TenantID).SetUserID(ada.ID).
				SetExpiresAt(time.Now().Add(time.Hour))
		}
		over := create().SetExpiresAt(time.Now().Add(-time.Second)).SaveX(ctx).ID
		create().SetID(revoked).SetRevoked(true).ExecX(ctx)
		create().SetID(idle).SetRotatedAt(time.Now().Add(-24 * time.Hour)).ExecX(ctx)
		create().SetID(older).SetPasswordVersion(7).ExecX(ctx)
		first := a.start(t, ada)
		second := a.start(t, ada)
		for _, id := range []uuid.UUID{over, revoked, idle, older, first, second} {
			if s := db.Client.RefreshToken.GetX(ctx, id); s.Revoked != (id == revoked) || s.RevokedReason != nil {
				t.Errorf("left %v", s)
			}
		}
		a.start(t, ada)
		if s := db.Client.RefreshToken.GetX(ctx, first); !s.Revoked {
			t.Errorf("the session beyond the limit is left: %v", s)
		}
	})
}

// Each sign-in of a user who had many sessions before there was a limit ends a bounded number of
// them.
func TestStart_ofManySessionsRevokesABoundedNumber(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, ada := limited(db.Client, 10), members(t, db, "acme", 1)[0]
		dbtest.GiveSessions(t, db, ada.TenantID, ada.ID, 0, 250)
		before, began := live(t, db, ada), 0
		for _, want := range []int{151, 52, 10, 10} {
			ctx, statements := dbtest.CountStatements(ada.ctx)
			if _, _, err := a.insertSession(ctx, a.client, ada.Projection, Authentication{}); err != nil {
				t.Fatal(err)
			}
			if n, _ := statements(); n != 1 {
				t.Errorf("%d statements", n)
			}
			left := live(t, db, ada)
			if len(left) != want {
				t.Errorf("%d sessions are left, want %d", len(left), want)
			}
			began++
			if kept := want - began; kept > 0 && left[0] != before[len(before)-kept] {
				t.Errorf("the sessions that were refreshed longest ago are not those that were ended")
			}
		}
	})
}

// The statement starts no session of a user of another tenant, which the policy of ent would deny.
func TestStart_ofAnotherTenantOrPasswordVersionIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		a, ada, stranger := limited(db.Client, 2), members(t, db, "acme", 1)[0], members(t, db, "globex", 1)[0]
		ctx := principal.System(t.Context(), "test")
		kept := a.start(t, ada)
		a.start(t, ada)
		refused := func(name string, ctx context.Context, p *Projection) {
			t.Helper()
			if _, _, err := a.insertSession(ctx, a.client, p, Authentication{}); !errors.Is(err, ErrCredentials) {
				t.Errorf("%s: %v", name, err)
			}
			all := db.Client.RefreshToken.Query().Where(refreshtoken.Revoked(false))
			if n := all.CountX(principal.System(t.Context(), "test")); n != 2 {
				t.Errorf("%s: %d sessions are left", name, n)
			}
		}
		refused("in another tenant", stranger.ctx, ada.Projection)
		of := *ada.User
		of.TenantID = stranger.TenantID
		refused("with another tenant", ctx, &Projection{User: &of})
		if _, _, err := a.insertSession(t.Context(), a.client, ada.Projection, Authentication{}); err == nil {
			t.Error("without a principal it is started")
		}
		db.Client.User.UpdateOneID(ada.ID).AddPasswordVersion(1).ExecX(ctx)
		refused("with an older password", ada.ctx, ada.Projection)
		if db.Client.RefreshToken.GetX(ctx, kept).Revoked {
			t.Error("a session that was not started has ended another")
		}
		db.Client.User.DeleteOneID(stranger.ID).ExecX(ctx)
		refused("after deletion", stranger.ctx, stranger.Projection)
	})
}

// Parallel sign-ins of one user do not fail or deadlock, and exceed the limit by at most their
// number.
func TestStart_inParallelKeepsTheLimit(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		opts.PoolSize = 20
		db := dbtest.Open(t, opts)
		const limit, parallel = 10, 20
		a, ada := limited(db.Client, limit), members(t, db, "acme", 1)[0]
		dbtest.GiveSessions(t, db, ada.TenantID, ada.ID, 0, 3*limit)
		for range 5 {
			var all sync.WaitGroup
			begin := make(chan struct{})
			for range parallel {
				all.Go(func() {
					<-begin
					if _, _, err := a.insertSession(ada.ctx, a.client, ada.Projection,
						Authentication{}); err != nil {
						t.Error(err)
					}
				})
			}
			close(begin)
			all.Wait()
			if n := len(live(t, db, ada)); n < limit || n > limit+parallel {
				t.Errorf("%d sessions are live", n)
			}
		}
		a.start(t, ada)
		if n := len(live(t, db, ada)); n != limit {
			t.Errorf("%d sessions are live after one more, want %d", n, limit)
		}
	})
}

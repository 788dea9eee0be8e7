package sessions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// signedIn is a session that was made for a test.
type signedIn struct{ tenant, user, session uuid.UUID }

// signIn makes users of two tenants in turn, each with a role of their own and a session.
func signIn(t *testing.T, db *database.DB, users int) []signedIn {
	t.Helper()
	system := principal.System(t.Context(), "test")
	var tenants []uuid.UUID
	for _, slug := range []string{"acme", "globex"} {
		tenants = append(tenants, db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(system).ID)
	}
	var all []signedIn
	for i := range users {
		home := tenants[i%2]
		ctx := principal.NewContext(t.Context(), principal.InTenant(home))
		role := db.Client.Role.Create().SetName(fmt.Sprint("role-", i)).SetPermissions([]string{fmt.Sprint("things:",
			i)}).SaveX(ctx)
		user := db.Client.User.Create().SetEmail(fmt.Sprintf("%d@acme.test", i)).SaveX(ctx)
		db.Client.RoleAssignment.Create().SetUserID(user.ID).SetRoleID(role.ID).SaveX(ctx)
		s := signedIn{tenant: home, user: user.ID}
		s.session = session(t, db, s, time.Now().Add(time.Hour))
		all = append(all, s)
	}
	return all
}

// session creates a session of a user that expires at a time.
func session(t *testing.T, db *database.DB, of signedIn, end time.Time) uuid.UUID {
	t.Helper()
	return db.Client.RefreshToken.Create().SetUserID(of.user).SetRotatedAt(time.Now()).SetExpiresAt(end).
		SaveX(as(t.Context(), of)).ID
}

// occupied are batches whose runs are all under way, until free is called. They are idle once it
// returns.
func occupied(t *testing.T, db *database.DB, patience time.Duration) (b *sessionBatches, free func()) {
	t.Helper()
	b = newSessionBatches(db.Client, time.Now)
	b.StallTimeout = patience
	end := make(chan struct{})
	var runs sync.WaitGroup
	for range b.AtOnce {
		begun := make(chan struct{})
		runs.Go(func() { b.Answer(&sessionAsked{}, func([]*sessionAsked) { close(begun); <-end }) })
		<-begun
	}
	return b, func() { close(end); runs.Wait() }
}

// as is what a request of a tenant's user carries.
func as(ctx context.Context, s signedIn) context.Context {
	return principal.NewContext(ctx, &principal.Principal{TenantID: s.tenant, UserID: s.user, CredentialID: s.session})
}

func TestBatch_concurrentLookupsShareOnlyTheStatement(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		const people = 2*maxSessionsAtOnce + 6
		all := signIn(t, db, people)
		system := principal.System(t.Context(), "test")
		revoked, over, older, foreign := 3, 4, 5, 6
		db.Client.RefreshToken.UpdateOneID(all[revoked].session).SetRevoked(true).ExecX(system)
		all[over].session = session(t, db, all[over], time.Now().Add(-time.Second))
		db.Client.User.UpdateOneID(all[older].user).AddPasswordVersion(1).ExecX(system)

		spans := tracetest.NewSpanRecorder()
		tracer := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)).Tracer("test")
		b, free := occupied(t, db, time.Hour)
		var asking sync.WaitGroup
		for i, s := range all {
			asking.Go(func() {
				ctx, statements := dbtest.CountStatements(t.Context())
				ctx, span := tracer.Start(ctx, "request")
				defer span.End()
				if i == foreign {
					s.tenant = all[foreign+1].tenant
				}
				p, err := b.load(as(ctx, s), s.session)
				if n, _ := statements(); err != nil || n != 1 {
					t.Errorf("%d: %d statements, %v", i, n, err)
				}
				if slices.Contains([]int{revoked, over, older, foreign}, i) {
					if p != nil {
						t.Errorf("%d: found %v", i, p.User)
					}
					return
				}
				if p == nil || p.ID != s.user || p.TenantID != s.tenant || p.CredentialID != s.session || !p.Live() ||
					!slices.Equal(p.Roles, []string{fmt.Sprint("role-", i)}) ||
					!slices.Equal(p.Permissions, []string{fmt.Sprint("things:", i)}) {
					t.Errorf("%d: %+v", i, p)
				}
			})
		}
		time.Sleep(100 * time.Millisecond) // so that most have come
		free()
		asking.Wait()
		run := 0
		for _, span := range spans.Ended() {
			if span.Name() == "SELECT" {
				run++
			}
		}
		if run < 3 || run > people/2 {
			t.Errorf("%d statements ran for %d sessions", run, people)
		}
	})
}

func TestBatch_unreadableSessionFailsItsRequestOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		all := signIn(t, db, 8)
		if _, err := db.Client.ExecContext(t.Context(),
			`UPDATE tenants SET settings = '{"password_min_length":"x"}' WHERE slug = 'acme'`); err != nil {
			t.Fatal(err)
		}
		b, free := occupied(t, db, time.Hour)
		var asking sync.WaitGroup
		for i, s := range all {
			asking.Go(func() {
				p, err := b.load(as(t.Context(), s), s.session)
				if broken := s.tenant == all[0].tenant; broken != (err != nil) ||
					broken == (p != nil && p.ID == s.user) {
					t.Errorf("%d: %+v, %v", i, p, err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond) // so that most have come
		free()
		asking.Wait()
	})
}

func TestBatch_stalledLookupIsReadAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := signIn(t, db, 1)[0]
		b, free := occupied(t, db, time.Millisecond)
		defer free()
		ctx, statements := dbtest.CountStatements(t.Context())
		p, err := b.load(as(ctx, s), s.session)
		if n, _ := statements(); err != nil || p == nil || p.CredentialID != s.session || n != 1 {
			t.Errorf("%+v, %d statements, %v", p, n, err)
		}
	})
}

func TestBatch_overloadRefusesLookups(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := signIn(t, db, 1)[0]
		b := newSessionBatches(db.Client, time.Now)
		b.StallTimeout, b.MaxWait = 30*time.Millisecond, 0
		ctx, stop := context.WithCancel(t.Context())
		var crowd sync.WaitGroup
		defer crowd.Wait()
		defer stop()
		for range 20 * maxSessionsAtOnce { // ten runs one after the other
			crowd.Go(func() {
				for ctx.Err() == nil {
					b.Answer(&sessionAsked{}, func([]*sessionAsked) { time.Sleep(10 * time.Millisecond) })
				}
			})
		}
		for refused := false; !refused; {
			ctx, statements := dbtest.CountStatements(t.Context())
			p, err := b.load(as(ctx, s), s.session)
			of, _ := errors.AsType[*problem.Problem](err)
			n, _ := statements()
			if refused = of != nil && of.Status == http.StatusServiceUnavailable; refused && (p != nil || n != 0) {
				t.Errorf("%+v, %d statements, %v", p, n, err)
			}
		}
	})
}

func TestBatch_failureIsReturnedToEachLookup(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		all := signIn(t, db, 2)
		b, free := occupied(t, db, time.Hour)
		var asking sync.WaitGroup
		for _, s := range all {
			asking.Go(func() {
				if p, err := b.load(as(t.Context(), s), s.session); err == nil || p != nil {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		free()
		asking.Wait()
	})
}

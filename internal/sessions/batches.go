package sessions

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/batch"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// sessionBatches reads projections by session. Concurrent callers share one statement, because a
// statement for several sessions costs hardly more than one for a single session, and without a
// cache every request needs one.
type sessionBatches struct {
	batch.Group[sessionAsked]
	client *ent.Client
	clock  func() time.Time
}

// sessionAsked is a session that a caller waits for.
type sessionAsked struct {
	session    uuid.UUID
	projection *Projection
	err        error
}

var (
	errUnanswered = errors.New("read auth projection: who was to read it has failed")
	errCrowd      = errors.New("too many sessions wait to be read")
)

func newSessionBatches(client *ent.Client, clock func() time.Time) *sessionBatches {
	return &sessionBatches{
		Group: batch.Group[sessionAsked]{
			Max: maxSessionsAtOnce, AtOnce: 2, StallTimeout: 50 * time.Millisecond,
			MaxWait: 500 * time.Millisecond, // as for a connection
		},
		client: client, clock: clock,
	}
}

// load returns the projection of a session, nil if the session has ended. It fails with 503 if more
// sessions wait than can be read. The tenant filter of the context applies.
func (b *sessionBatches) load(ctx context.Context, session uuid.UUID) (*Projection, error) {
	asked, began := &sessionAsked{session: session, err: errUnanswered}, time.Now()
	alone, led := false, false
	answered := b.Answer(asked, func(batch []*sessionAsked) {
		if led, alone = true, len(batch) == 1; alone {
			asked.projection, asked.err = b.loadAlone(ctx, session)
		} else {
			b.read(ctx, batch)
		}
	})
	if !answered {
		return nil, problem.Unavailable(errCrowd)
	}
	if alone {
		return asked.projection, asked.err
	}
	if !led {
		principal.CountStatement(ctx, time.Since(began)) // one statement, for which it waited
	}
	if asked.err != nil && !database.Unavailable(asked.err) {
		return b.loadAlone(ctx, session) // the row of another session may be the unreadable one
	}
	acting, _ := principal.FromContext(ctx)
	if asked.projection == nil || !acting.IsSystem() && acting.TenantID != asked.projection.TenantID {
		return nil, asked.err
	}
	return asked.projection, nil
}

func (b *sessionBatches) loadAlone(ctx context.Context, session uuid.UUID) (*Projection, error) {
	return loadProjection(ctx, b.client, bySession(session, b.clock()))
}

// read reads several sessions in the request of the first caller, and continues if that client
// disconnects.
func (b *sessionBatches) read(ctx context.Context, batch []*sessionAsked) {
	ctx = principal.System(context.WithoutCancel(ctx), "sessions: all that are asked for at once")
	sessions := make([]uuid.UUID, 0, maxSessionsAtOnce)
	for _, asked := range batch {
		sessions = append(sessions, asked.session)
	}
	found, err := loadProjections(ctx, b.client, sessions, b.clock())
	for _, asked := range batch {
		asked.projection, asked.err = found[asked.session], err
	}
}

package auth

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

const (
	// statementsAtOnce is how many statements run before who asks waits for the next.
	statementsAtOnce = 2
	// batchPatience is how long that may take. After it they run one of their own, as if nobody else were there.
	batchPatience = 50 * time.Millisecond
)

// sessionBatches reads projections by session: one that is asked for alone in a statement of its own, and those that are asked for while
// statements run in the next one, together. What such a statement costs is hardly in its rows, and where nothing is remembered every
// request needs one. Each is answered by a statement that began after it was asked for.
type sessionBatches struct {
	client *ent.Client
	clock  func() time.Time
	// patience is how long anybody waits for a statement to begin.
	patience time.Duration

	mu      sync.Mutex
	running int
	waiting []*sessionAsked
}

// sessionAsked is a session that somebody waits for.
type sessionAsked struct {
	session uuid.UUID
	// span is that of who asks.
	span trace.Span
	// done is closed when the rest is there.
	done       chan struct{}
	projection *Projection
	err        error
}

// load returns the projection of a session, nil if it is over. The tenant filter of the context applies.
func (b *sessionBatches) load(ctx context.Context, session uuid.UUID) (*Projection, error) {
	asked := b.ask(ctx, session)
	if asked == nil {
		defer b.next()
		return loadProjection(ctx, b.client, bySession(session, b.clock()))
	}
	began := time.Now()
	patience := time.NewTimer(b.patience)
	defer patience.Stop()
	// Who hangs up is not looked for here either: there is no statement that takes long, or the database ends it.
	select {
	case <-asked.done:
	case <-patience.C:
		if b.leave(asked) {
			return loadProjection(ctx, b.client, bySession(session, b.clock()))
		}
		<-asked.done
	}
	database.Count(ctx, began)
	return asked.visible(ctx)
}

// ask returns nil if whoever asks is to run a statement, and then the next.
func (b *sessionBatches) ask(ctx context.Context, session uuid.UUID) *sessionAsked {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running < statementsAtOnce {
		b.running++
		return nil
	}
	asked := &sessionAsked{session: session, span: trace.SpanFromContext(ctx), done: make(chan struct{})}
	b.waiting = append(b.waiting, asked)
	return asked
}

// leave reports whether what was asked for is in no statement yet, and takes it back.
func (b *sessionBatches) leave(asked *sessionAsked) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.waiting, asked)
	if at < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, at, at+1)
	return true
}

// next runs a statement for those who wait, in the place of one that has ended.
func (b *sessionBatches) next() {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := b.waiting[:min(len(b.waiting), maxSessionsAtOnce)]
	b.waiting = b.waiting[len(batch):]
	if len(batch) == 0 {
		b.running--
		return
	}
	go b.run(batch)
}

// run reads a batch. It belongs to no request but for its span, which is the first one's.
func (b *sessionBatches) run(batch []*sessionAsked) {
	defer b.next()
	ctx := principal.System(trace.ContextWithSpan(context.Background(), batch[0].span), "session: read for who asked from its tenant")
	sessions := make([]uuid.UUID, 0, maxSessionsAtOnce)
	for _, asked := range batch {
		sessions = append(sessions, asked.session)
	}
	found, err := loadProjections(ctx, b.client, sessions, b.clock())
	for _, asked := range batch {
		asked.projection, asked.err = found[asked.session], err
		close(asked.done)
	}
}

// visible is what was found, if the tenant filter of the context lets it through.
func (a *sessionAsked) visible(ctx context.Context) (*Projection, error) {
	acting, _ := principal.FromContext(ctx)
	if a.projection == nil || !acting.IsSystem() && acting.TenantID != a.projection.TenantID {
		return nil, a.err
	}
	return a.projection, nil
}

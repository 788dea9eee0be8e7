package principal

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Record collects what a request does, for the request log: its tenant and user, the bypass reasons
// of the tenant filter, and its SQL statements.
type Record struct {
	statements, duration atomic.Int64

	mu            sync.Mutex
	bypassReasons []string
	tenant        uuid.UUID
	user          uuid.UUID
}

type recordKey struct{}

// WithRecord returns a context whose operations write to r.
func WithRecord(ctx context.Context, r *Record) context.Context {
	return context.WithValue(ctx, recordKey{}, r)
}

func recordOf(ctx context.Context) (*Record, bool) {
	r, ok := ctx.Value(recordKey{}).(*Record)
	return r, ok
}

// CountStatement adds a SQL statement to the record of the request.
func CountStatement(ctx context.Context, took time.Duration) {
	if r, ok := recordOf(ctx); ok {
		r.statements.Add(1)
		r.duration.Add(int64(took))
	}
}

// Statements returns the number and total duration of the statements so far. BEGIN and COMMIT are
// not counted.
func (r *Record) Statements() (int64, time.Duration) {
	return r.statements.Load(), time.Duration(r.duration.Load())
}

// Identify sets the tenant and user in the record of the request, for operations that establish
// them while they run: a sign-in carries no access token. A tenant without a user does not replace
// a user.
func Identify(ctx context.Context, tenant, user uuid.UUID) {
	if tenant == uuid.Nil {
		return
	}
	if r, ok := recordOf(ctx); ok {
		r.identify(tenant, user)
	}
}

// BypassReasons returns the reasons for which the tenant filter was lifted, in order.
func (r *Record) BypassReasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bypassReasons)
}

// Identified returns the tenant and user of the request, or zero values while they are unknown.
func (r *Record) Identified() (tenant, user uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tenant, r.user
}

func (r *Record) identify(tenant, user uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if user != uuid.Nil || r.user == uuid.Nil {
		r.tenant, r.user = tenant, user
	}
}

func (r *Record) addBypass(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bypassReasons = append(r.bypassReasons, reason)
}

package principal

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// Principal is who acts. The zero value is nobody.
type Principal struct {
	TenantID uuid.UUID
	// HomeTenantID is the tenant of the user, where that is not TenantID: a superuser acts in another.
	HomeTenantID uuid.UUID
	UserID       uuid.UUID
	SessionID    uuid.UUID
	Superuser    bool
	Permissions  []string

	system string
}

// InTenant returns a principal that acts for a tenant and no particular user.
func InTenant(id uuid.UUID) *Principal { return &Principal{TenantID: id} }

// IsSystem reports whether the tenant filter is lifted for p.
func (p Principal) IsSystem() bool { return p.system != "" }

// Home returns the tenant of the user, which is another than TenantID where a superuser acts in it.
func (p Principal) Home() uuid.UUID {
	if p.HomeTenantID == uuid.Nil {
		return p.TenantID
	}
	return p.HomeTenantID
}

// May reports whether p holds the permission, compared exactly. A superuser holds every one.
func (p Principal) May(permission string) bool {
	return p.Superuser || slices.Contains(p.Permissions, permission)
}

type contextKey struct{}

// Acting is a context in which Who acts. They may act in others at the same time, so that nobody may change them.
type Acting struct {
	context.Context
	Who *Principal
}

// Value returns who acts, or what the context holds otherwise.
func (a *Acting) Value(key any) any {
	if key == (contextKey{}) {
		return a.Who
	}
	return a.Context.Value(key)
}

// NewContext returns a context in which p acts. Nobody may change p from then on. The trail of the request records it.
func NewContext(ctx context.Context, p *Principal) context.Context {
	Identify(ctx, p.TenantID, p.UserID)
	return &Acting{ctx, p}
}

// Identify records in the trail of the request whom it is of, where that is known only while it is served: a sign-in carries no access
// token. A tenant without a user does not replace a user.
func Identify(ctx context.Context, tenant, user uuid.UUID) {
	if tenant == uuid.Nil {
		return
	}
	if t, ok := ctx.Value(trailKey{}).(*Trail); ok {
		t.identify(tenant, user)
	}
}

// FromContext returns who acts in ctx, and false if nobody does.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(*Principal)
	if !ok || p == nil {
		return Principal{}, false
	}
	return *p, p.IsSystem() || p.TenantID != uuid.Nil
}

// System returns a context in which the server itself acts, on the rows of every tenant. It is the only way around the
// tenant filter: reason says why it is taken here, and is logged with the request.
func System(ctx context.Context, reason string) context.Context {
	if t, ok := ctx.Value(trailKey{}).(*Trail); ok {
		t.add(reason)
	}
	return NewContext(ctx, &Principal{system: reason})
}

// Trail is a context that collects what is found out while a request is served: the reasons for which the tenant filter was lifted,
// and whom the request is of.
type Trail struct {
	context.Context

	mu      sync.Mutex
	reasons []string
	tenant  uuid.UUID
	user    uuid.UUID
}

type trailKey struct{}

// Value returns the trail, or what the context holds otherwise.
func (t *Trail) Value(key any) any {
	if key == (trailKey{}) {
		return t
	}
	return t.Context.Value(key)
}

// Reasons returns what was recorded, in order.
func (t *Trail) Reasons() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.reasons)
}

// Identified returns whom the request is of, as far as it was recorded.
func (t *Trail) Identified() (tenant, user uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tenant, t.user
}

func (t *Trail) identify(tenant, user uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if user != uuid.Nil || t.user == uuid.Nil {
		t.tenant, t.user = tenant, user
	}
}

func (t *Trail) add(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reasons = append(t.reasons, reason)
}

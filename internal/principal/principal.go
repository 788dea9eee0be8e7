package principal

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Kind is the kind of a principal.
type Kind string

// The kinds. A principal that acts for a tenant alone, without an actor, has none.
const (
	KindUser   Kind = "user"
	KindSystem Kind = "system"
)

// Principal is the user, tenant or server that a context acts for. The zero value is anonymous.
type Principal struct {
	Kind     Kind
	TenantID uuid.UUID
	// HomeTenantID is the tenant of the user if it differs from TenantID: a superuser may act in
	// another tenant.
	HomeTenantID uuid.UUID
	UserID       uuid.UUID
	// CredentialID identifies the credential of the request: the session of an access token.
	CredentialID uuid.UUID
	Superuser    bool
	Permissions  []string

	// bypassReason is why the tenant filter is lifted, "" if it is not.
	bypassReason string
}

// OfUser returns a principal that acts for a user of a tenant.
func OfUser(tenant, user uuid.UUID) *Principal {
	return &Principal{Kind: KindUser, TenantID: tenant, UserID: user}
}

// InTenant returns a principal that acts for a tenant, without a user.
func InTenant(id uuid.UUID) *Principal { return &Principal{TenantID: id} }

// IsAnonymous reports whether p acts neither for a tenant nor for the server.
func (p Principal) IsAnonymous() bool { return p.TenantID == uuid.Nil && !p.IsSystem() }

// IsSystem reports whether the tenant filter is lifted for p.
func (p Principal) IsSystem() bool { return p.bypassReason != "" }

// Home returns the tenant of the user. It differs from TenantID while a superuser acts in another
// tenant.
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

// NewContext returns a context that carries p, and adds p to the record of the request. p must not
// be changed afterwards.
func NewContext(ctx context.Context, p *Principal) context.Context {
	Identify(ctx, p.TenantID, p.UserID)
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal of ctx, and false if there is none or it is anonymous.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(*Principal)
	if !ok || p == nil {
		return Principal{}, false
	}
	return *p, !p.IsAnonymous()
}

// System returns a context in which the server itself acts on the rows of every tenant. It is the
// only way to bypass the tenant filter. reason is logged with the request.
func System(ctx context.Context, reason string) context.Context {
	if r, ok := recordOf(ctx); ok {
		r.addBypass(reason)
	}
	return NewContext(ctx, &Principal{Kind: KindSystem, bypassReason: reason})
}

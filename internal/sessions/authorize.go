package sessions

import (
	"context"
	"fmt"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// Authenticate verifies an access token and returns who it speaks for, whom nobody may change. It asks the database for a key that it
// does not know, and for nothing else.
func (a *Sessions) Authenticate(ctx context.Context, token string) (*principal.Principal, error) {
	return a.access.verify(ctx, token)
}

// Authorize reads the projection of the principal and demands that session, user and tenant are alive and that every scope
// is held: 401 for the one, 403 for the other. The context that it returns carries the projection.
func (a *Sessions) Authorize(ctx context.Context, scopes []string) (context.Context, error) {
	p, ok := principal.FromContext(ctx)
	if !ok {
		return nil, problem.Unauthorized("unauthorized", "A bearer token is needed.")
	}
	projection, err := a.ofSession(ctx, p.SessionID)
	if err != nil {
		return nil, err
	}
	if projection == nil || projection.ID != p.UserID || projection.TenantID != p.TenantID || !projection.Live() {
		return nil, errInvalidToken
	}
	who := projection.Principal()
	for _, scope := range scopes {
		if !who.May(scope) {
			return nil, problem.Forbidden("forbidden", "The permission "+scope+" is needed.")
		}
	}
	return &authorized{principal.Acting{Context: ctx, Who: who}, projection}, nil
}

// ActIn lets a superuser act in another tenant than their own: 403 for anybody else, 404 if there is no such tenant. Every
// such act is logged.
func (a *Sessions) ActIn(ctx context.Context, slug string) (context.Context, error) {
	p, _ := principal.FromContext(ctx)
	if !p.Superuser {
		return nil, problem.Forbidden("forbidden", "Only a superuser acts in another tenant.")
	}
	id, err := a.client.Tenant.Query().Where(tenant.Slug(slug)).OnlyID(principal.System(ctx, "superuser: names the tenant to act in"))
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	p.TenantID, p.HomeTenantID = id, p.TenantID
	ctx = principal.NewContext(ctx, &p)
	a.opts.Log.InfoContext(ctx, "superuser acts in another tenant", "event", "superuser_act", "user_id", p.UserID)
	return ctx, nil
}

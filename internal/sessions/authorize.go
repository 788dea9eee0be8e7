package sessions

import (
	"context"
	"fmt"
	"strings"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/httpapi"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// Authenticator verifies the access tokens of users, which are JWTs.
func (s *Sessions) Authenticator() httpapi.Authenticator {
	return httpapi.Authenticator{
		Scheme:       "bearer",
		Recognizes:   func(token string) bool { return strings.Count(token, ".") == 2 },
		Authenticate: s.Authenticate, Authorize: s.Authorize,
	}
}

// Authenticate verifies an access token and returns its principal, which callers must not change.
// It queries the database only for an unknown key.
func (s *Sessions) Authenticate(ctx context.Context, token string) (*principal.Principal, error) {
	return s.access.verify(ctx, token)
}

// Authorize reads the projection of a principal: 401 if session, user or tenant is not active, 403
// if a scope is missing. The returned context carries the principal and the projection.
func (s *Sessions) Authorize(ctx context.Context, p *principal.Principal, scopes []string) (context.Context, error) {
	projection, err := s.Projection(p.CredentialID, func() (*Projection, error) {
		return s.batches.load(principal.NewContext(ctx, p), p.CredentialID)
	})
	if err != nil {
		return nil, err
	}
	if projection == nil || projection.ID != p.UserID || projection.TenantID != p.TenantID || !projection.Live() {
		return nil, errInvalidToken
	}
	return Admit(ctx, projection, scopes)
}

// Admit returns the context of a handler, with the principal of a projection and the projection:
// 403 if a scope is missing.
func Admit(ctx context.Context, projection *Projection, scopes []string) (context.Context, error) {
	current := projection.Principal()
	for _, scope := range scopes {
		if !current.May(scope) {
			return nil, problem.Forbidden("forbidden", "The permission "+scope+" is needed.")
		}
	}
	return context.WithValue(principal.NewContext(ctx, current), projectionKey{}, projection), nil
}

// ActIn lets a superuser act in another tenant than their own: 403 for other users, 404 if the
// tenant does not exist. Each call is logged.
func (s *Sessions) ActIn(ctx context.Context, slug string) (context.Context, error) {
	p, _ := principal.FromContext(ctx)
	if !p.Superuser {
		return nil, problem.Forbidden("forbidden", "Only a superuser acts in another tenant.")
	}
	id, err := s.client.Tenant.Query().Where(tenant.Slug(slug)).OnlyID(principal.System(ctx,
		"superuser: names the tenant to act in"))
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	p.TenantID, p.HomeTenantID = id, p.TenantID
	ctx = principal.NewContext(ctx, &p)
	s.opts.Log.InfoContext(ctx, "superuser acts in another tenant", "event", "superuser_act", "user_id", p.UserID)
	return ctx, nil
}

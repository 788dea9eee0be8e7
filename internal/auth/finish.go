package auth

import (
	"context"

	"github.com/google/uuid"

	"tenantry/internal/principal"
	"tenantry/internal/sessions"
)

// Proof is what was proved elsewhere: who the user is, at a version of their password and, where a
// provider of the tenant has proved it, at a generation of that provider.
type Proof struct {
	TenantID, UserID uuid.UUID
	Version          int
	Provider         sessions.Provider
}

// SignIn begins a session of a user who has proved elsewhere who they are: 401 if the version or
// the generation is another by now, which voids that proof too, or if they, or their tenant, may
// not act.
func (a *Auth) SignIn(ctx context.Context, proof Proof, from sessions.Origin) (*sessions.Tokens, error) {
	acting := principal.NewContext(ctx, &principal.Principal{TenantID: proof.TenantID, UserID: proof.UserID})
	p, err := sessions.ProjectionOfUser(acting, a.client, proof.UserID)
	if err != nil {
		return nil, err
	}
	if p == nil || !p.Live() || p.PasswordVersion != proof.Version {
		return nil, sessions.ErrCredentials
	}
	return a.opts.Sessions.Start(acting, a.client, p, proof.Provider, from)
}

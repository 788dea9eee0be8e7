package httpapi

import (
	"context"

	"tenantry/internal/principal"
)

// Authenticator verifies the credentials of one security scheme of the contract. A client sends
// each credential as a bearer token, and its form tells which authenticator verifies it.
type Authenticator struct {
	// Scheme is the name of the security scheme. An operation accepts the credentials of the
	// schemes that its security names.
	Scheme string
	// Recognizes reports whether a bearer token has the form of this scheme. It does not verify it.
	Recognizes func(token string) bool
	// Authenticate verifies a credential and returns its principal, which concurrent requests share
	// and which must not be changed.
	Authenticate func(ctx context.Context, token string) (*principal.Principal, error)
	// Authorize checks that the credential of a principal is still valid and that the principal has
	// the scopes now. It returns the context of the handler.
	Authorize func(ctx context.Context, p *principal.Principal, scopes []string) (context.Context, error)
}

// authenticatorOf returns the authenticator of a bearer token, nil if no scheme has its form.
func (r *router) authenticatorOf(token string) *Authenticator {
	for i := range r.Authenticators {
		if r.Authenticators[i].Recognizes(token) {
			return &r.Authenticators[i]
		}
	}
	return nil
}

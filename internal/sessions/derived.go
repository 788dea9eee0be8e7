package sessions

import (
	"encoding/json"
	"sync"

	"tenantry/internal/principal"
)

// derived is what requests that share a cached projection derive from it, once: its principal,
// and its user as JSON. Without it, GET /users/me takes a tenth more CPU time. Callers must not
// change either.
type derived struct {
	identify  sync.Once
	principal principal.Principal

	encode sync.Once
	user   []byte
	err    error
}

// Principal returns the user as the principal of a request.
func (p *Projection) Principal() *principal.Principal {
	p.derived.identify.Do(func() {
		p.derived.principal = principal.Principal{
			Kind: principal.KindUser, TenantID: p.TenantID, UserID: p.ID, CredentialID: p.CredentialID,
			Superuser: p.IsSuperuser, Permissions: p.Permissions,
		}
	})
	return &p.derived.principal
}

// UserJSON returns the user as the API shows them.
func (p *Projection) UserJSON() ([]byte, error) {
	p.derived.encode.Do(func() { p.derived.user, p.derived.err = json.Marshal(UserResponse(p.User)) })
	return p.derived.user, p.derived.err
}

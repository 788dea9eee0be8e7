package sessions

import (
	"encoding/json"
	"sync"

	"tenantry/internal/principal"
)

// shared is what the requests that share a cached projection derive from it once: its principal,
// and its user as JSON. Without it, GET /users/me takes a tenth more CPU time. Callers must not
// change either.
type shared struct {
	identify  sync.Once
	principal principal.Principal

	encode sync.Once
	user   []byte
	err    error
}

// Principal returns the user as the principal of a request.
func (p *Projection) Principal() *principal.Principal {
	p.shared.identify.Do(func() {
		p.shared.principal = principal.Principal{
			Kind: principal.KindUser, TenantID: p.TenantID, UserID: p.ID, CredentialID: p.CredentialID,
			Superuser: p.IsSuperuser, Permissions: p.Permissions,
		}
	})
	return &p.shared.principal
}

// UserJSON returns the user as the API shows them.
func (p *Projection) UserJSON() ([]byte, error) {
	p.shared.encode.Do(func() { p.shared.user, p.shared.err = json.Marshal(UserResponse(p.User)) })
	return p.shared.user, p.shared.err
}

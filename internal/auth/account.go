package auth

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql/sqlgraph"

	"tenantry/ent"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
)

// Account is what a user is made of, as a person gives it.
type Account struct {
	Email, Password, FullName string
	// Role is the name of a system role.
	Role      string
	Superuser bool
}

// PreparedAccount is an account that was checked and whose password is hashed, so that no connection waits for the hash.
type PreparedAccount struct {
	account     Account
	email, hash string
}

// Prepare checks the account by the rules of its tenant and hashes its password: 422, with every member that is not
// acceptable, or 503 when the hasher is busy.
func (a Account) Prepare(ctx context.Context, hasher *Hasher, home *ent.Tenant) (*PreparedAccount, error) {
	var fields []problem.Field
	email, err := CanonicalEmail(a.Email)
	if err != nil {
		fields = append(fields, problem.Field{Pointer: "/email", Detail: err.Error()})
	}
	if err := checkPassword(a.Password, home, email); err != nil {
		fields = append(fields, problem.Field{Pointer: "/password", Detail: err.Error()})
	}
	if len(fields) > 0 {
		return nil, problem.Invalid(fields...)
	}
	hash, err := hasher.Hash(ctx, a.Password)
	if err != nil {
		return nil, err
	}
	return &PreparedAccount{account: a, email: email, hash: hash}, nil
}

// Insert stores the user, with the role, in the tenant that the context acts for: 409 if the address is taken there.
func (p *PreparedAccount) Insert(ctx context.Context, tx *ent.Client) (*ent.User, error) {
	u, err := tx.User.Create().SetEmail(p.email).SetPasswordHash(p.hash).SetFullName(p.account.FullName).
		SetIsSuperuser(p.account.Superuser).Save(ctx)
	if sqlgraph.IsUniqueConstraintError(err) {
		return nil, problem.Conflict("email_taken", "There is an account with this e-mail address.")
	}
	if err != nil {
		return nil, fmt.Errorf("create user: %w", err)
	}
	return u, roles.AssignSystem(ctx, tx, u.ID, p.account.Role)
}

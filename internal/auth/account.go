package auth

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql/sqlgraph"

	"tenantry/ent"
	"tenantry/internal/names"
	"tenantry/internal/password"
	"tenantry/internal/problem"
)

// Account is the data of a user to create, as the client sends it.
type Account struct {
	Email string
	// Password is nil for a user who signs in at a provider only.
	Password  *string
	FullName  string
	Superuser bool
}

// PreparedAccount is a valid account with a hashed password. The hash is computed before a
// transaction begins, because it takes long.
type PreparedAccount struct {
	account Account
	email   string
	hash    *string
}

// Prepare checks the account by the rules of its tenant and hashes its password: 422, with every
// member that is not acceptable, or 503 when the hasher is busy.
func (a Account) Prepare(ctx context.Context, hasher *password.Hasher, home *ent.Tenant) (*PreparedAccount, error) {
	var fields []problem.Field
	email, err := CanonicalEmail(a.Email)
	if err != nil {
		fields = append(fields, problem.Field{Pointer: "/email", Detail: err.Error()})
	}
	if a.FullName, err = names.Text(a.FullName); err != nil {
		fields = append(fields, problem.Field{Pointer: "/full_name", Detail: err.Error()})
	}
	if a.Password != nil {
		if err := password.Check(*a.Password, home, email); err != nil {
			fields = append(fields, problem.Field{Pointer: "/password", Detail: err.Error()})
		}
	}
	if len(fields) > 0 {
		return nil, problem.Invalid(fields...)
	}
	prepared := &PreparedAccount{account: a, email: email}
	if a.Password != nil {
		hash, err := hasher.Hash(ctx, *a.Password)
		if err != nil {
			return nil, err
		}
		prepared.hash = &hash
	}
	return prepared, nil
}

// PasswordHash returns the hash to store, nil for an account without a password.
func (p *PreparedAccount) PasswordHash() *string { return p.hash }

// Insert stores the user, without a role, in the tenant of the principal: 409 if another user of
// the tenant has the address.
func (p *PreparedAccount) Insert(ctx context.Context, tx *ent.Client) (*ent.User, error) {
	u, err := tx.User.Create().SetEmail(p.email).SetNillablePasswordHash(p.hash).SetFullName(p.account.FullName).
		SetIsSuperuser(p.account.Superuser).Save(ctx)
	if err != nil {
		return nil, EmailTaken(err, "create user")
	}
	return u, nil
}

// EmailTaken is the error of a write that gives an e-mail address to a user: 409 if another user of
// the tenant has it.
func EmailTaken(err error, doing string) error {
	if sqlgraph.IsUniqueConstraintError(err) {
		return problem.Conflict("email_taken", "There is an account with this e-mail address.")
	}
	return fmt.Errorf("%s: %w", doing, err)
}

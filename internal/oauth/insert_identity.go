package oauth

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/useridentity"
)

// insertIdentity links an identity ($1, $5, $6, $7) to a user ($2) of a tenant ($3) whose
// password_version is still $4, at the time $8. It is one statement, which names the tenant itself.
const insertIdentity = `INSERT INTO user_identities
	(id, tenant_id, user_id, provider, subject, verified_by, created_at, updated_at)
SELECT $1, u.tenant_id, u.id, $5, $6, $7, $8, $8 FROM users AS u
WHERE u.id = $2 AND u.tenant_id = $3 AND u.password_version = $4`

// lockingUser orders the link and a concurrent new password, which must remove the identity, or
// void the link by its password_version. It locks the key too: the primary identity of a user is
// part of a unique index, so that a weaker lock would be raised when the first identity is linked,
// and could deadlock. On SQLite a statement that writes is the only one.
const lockingUser = ` FOR UPDATE`

// insertIdentity links an identity to a user, and returns whether the user still has the
// password_version. It fails with a unique violation if the identity is linked already, or the user
// has another one at the provider.
func (o *OAuth) insertIdentity(ctx context.Context, client *ent.Client, tenant uuid.UUID, who signer, u *upstream,
	is *identity, by useridentity.VerifiedBy) (linked bool, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("link identity: %w", err)
	}
	statement := insertIdentity
	if o.opts.Dialect == dialect.Postgres {
		statement += lockingUser
	}
	result, err := client.ExecContext(ctx, statement, id, who.id, tenant, who.version, u.key(), is.Subject, by.String(),
		o.opts.Clock())
	if err != nil {
		return false, fmt.Errorf("link identity: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("link identity: %w", err)
	}
	return n > 0, nil
}

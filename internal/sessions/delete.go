package sessions

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/predicate"
	"tenantry/ent/refreshtoken"
)

// deletedAtOnce is how many sessions one statement deletes, which takes less than a tenth of a
// second.
const deletedAtOnce = 1000

// DeleteOfUser deletes the sessions of a user in batches, so that no statement exceeds its
// timeout. It may leave sessions that another transaction has locked.
func DeleteOfUser(ctx context.Context, client *ent.Client, id uuid.UUID) error {
	return deleteSessions(ctx, client, refreshtoken.UserID(id), refreshtoken.FieldRevoked)
}

// DeleteOfTenant deletes the sessions of a tenant as DeleteOfUser deletes those of
// a user.
func DeleteOfTenant(ctx context.Context, client *ent.Client, id uuid.UUID) error {
	return deleteSessions(ctx, client, refreshtoken.TenantID(id), refreshtoken.FieldIP)
}

// deleteSessions orders by next so that Postgres uses the index on owner and next. Without the
// order it may read the table from its beginning, through all rows that the earlier batches have
// deleted.
func deleteSessions(ctx context.Context, client *ent.Client, owner predicate.RefreshToken, next string) error {
	inOrder := func(s *sql.Selector) { s.OrderBy(s.C(next)) }
	for {
		some := atMost(deletedAtOnce, sql.LockUpdate, owner, inOrder)
		deleted, err := client.RefreshToken.Delete().Where(some).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete sessions: %w", err)
		}
		if deleted < deletedAtOnce {
			return nil
		}
	}
}

// Many reports whether a user has more sessions, of any state, than one statement deletes.
func Many(ctx context.Context, client *ent.Client, id uuid.UUID) (bool, error) {
	_, err := client.RefreshToken.Query().Where(refreshtoken.UserID(id)).Offset(deletedAtOnce).FirstID(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return false, fmt.Errorf("count sessions: %w", err)
	}
	return err == nil, nil
}

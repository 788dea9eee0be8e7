package roles

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/roleassignment"
	"tenantry/internal/database"
)

// unassignBatch is how many assignments one statement deletes.
const unassignBatch = 1000

// Delete deletes a role with its assignments: 403 for a system role, and for a permission that the
// caller lacks. If the role has more assignments than one batch, Delete first removes the
// permissions of the role, which revokes them for every user at once, and then deletes the
// assignments in batches. An interrupted deletion leaves a role without permissions; the next
// request continues it.
func (r *Roles) Delete(ctx context.Context, id uuid.UUID) error {
	deleted, err := r.delete(ctx, id, false)
	if err != nil || deleted {
		return err
	}
	for last, more := uuid.Nil, true; more; {
		if last, more, err = r.unassignSome(ctx, id, last); err != nil {
			return err
		}
	}
	_, err = r.delete(ctx, id, true)
	return err
}

// delete deletes a role. If many users have the role, and unassigned is false, it only removes the
// permissions of the role.
func (r *Roles) delete(ctx context.Context, id uuid.UUID, unassigned bool) (deleted bool, err error) {
	err = r.change(ctx, id, func(tx *ent.Client, old *ent.Role) error {
		many := false
		if !unassigned {
			if _, many, err = lastOfBatch(ctx, tx, id, uuid.Nil); err != nil {
				return err
			}
		}
		if deleted = !many; many {
			err = tx.Role.UpdateOne(old).SetPermissions([]Permission{}).Exec(ctx)
		} else {
			err = tx.Role.DeleteOne(old).Exec(ctx)
		}
		if err != nil {
			return fmt.Errorf("delete role: %w", err)
		}
		return nil
	})
	return deleted, err
}

// unassignSome deletes the assignments of the first unassignBatch users after a user, and
// returns the last of these users, if there are so many. It does not start at the first user again:
// until Postgres has vacuumed, each batch would read what the earlier ones have deleted.
func (r *Roles) unassignSome(ctx context.Context, id, after uuid.UUID) (last uuid.UUID, many bool, err error) {
	err = database.WithTx(ctx, r.client, func(tx *ent.Client) error {
		if last, many, err = lastOfBatch(ctx, tx, id, after); err != nil || !many {
			return err
		}
		_, err := tx.RoleAssignment.Delete().Where(
			roleassignment.RoleID(id),
			sql.FieldGT(roleassignment.FieldUserID, after), sql.FieldLTE(roleassignment.FieldUserID, last),
		).Exec(ctx)
		if err != nil {
			return fmt.Errorf("unassign role: %w", err)
		}
		return nil
	})
	return last, many, err
}

// lastOfBatch returns the last of the first unassignBatch users after a user who have a role, if
// there are so many.
func lastOfBatch(ctx context.Context, tx *ent.Client, id, after uuid.UUID) (last uuid.UUID, many bool, err error) {
	rows, err := tx.RoleAssignment.Query().
		Where(roleassignment.RoleID(id), sql.FieldGT(roleassignment.FieldUserID, after)).
		Order(roleassignment.ByUserID()).Offset(unassignBatch - 1).Limit(1).All(ctx)
	if err != nil {
		return last, false, fmt.Errorf("look for assignments: %w", err)
	}
	if len(rows) == 0 {
		return last, false, nil
	}
	return rows[0].UserID, true, nil
}

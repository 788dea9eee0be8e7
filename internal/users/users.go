package users

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/problem"
)

// Users are the users of the tenant that the context acts for.
type Users struct{ client *ent.Client }

// New returns the users of a database.
func New(client *ent.Client) *Users { return &Users{client} }

// Change is what may be changed of a user; nil leaves a field as it is.
type Change struct{ FullName *string }

// Update changes a user and returns the new state: 404 if there is no such user.
func (u *Users) Update(ctx context.Context, id uuid.UUID, change Change) (*ent.User, error) {
	changed, err := u.client.User.UpdateOneID(id).SetNillableFullName(change.FullName).Save(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, problem.NotFound()
	case err != nil:
		return nil, fmt.Errorf("update user: %w", err)
	}
	return changed, nil
}

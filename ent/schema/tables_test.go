package schema_test

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/predicate"
	"tenantry/ent/roleassignment"
)

// row is a row to write: its user and role, and the tenant that the writer sets, or none.
type row struct {
	id, user, role uuid.UUID
	tenant         *uuid.UUID
}

type (
	// execer is a builder that writes one row, or creates several.
	execer interface{ Exec(context.Context) error }
	// scanner is a query of one column.
	scanner interface {
		Scan(context.Context, any) error
	}
	// where is the underlying type of every generated predicate.
	where = func(*sql.Selector)
)

// access has the operations of the guard on one table, with the generated client.
type access struct {
	create    func(c *ent.Client, r row) execer
	bulk      func(c *ent.Client, rows ...row) execer
	read      func(c *ent.Client) scanner
	updateOne func(c *ent.Client, r row) execer
	update    func(ctx context.Context, c *ent.Client, p where) (int, error)
	deleteOne func(c *ent.Client, r row) execer
	delete    func(ctx context.Context, c *ent.Client, p where) (int, error)
}

// changed is the value that an update writes to updated_at, which every entity has.
var changed = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// tables has a case for each table with a tenant_id.
var tables = map[string]access{
	"users": {
		create:    func(c *ent.Client, r row) execer { return newUser(c, r) },
		bulk:      func(c *ent.Client, rows ...row) execer { return c.User.CreateBulk(each(c, rows, newUser)...) },
		read:      func(c *ent.Client) scanner { return c.User.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.User.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.User.Update().Where(predicate.User(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.User.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.User.Delete().Where(predicate.User(p)).Exec(ctx)
		},
	},
	"roles": {
		create:    func(c *ent.Client, r row) execer { return newRole(c, r) },
		bulk:      func(c *ent.Client, rows ...row) execer { return c.Role.CreateBulk(each(c, rows, newRole)...) },
		read:      func(c *ent.Client) scanner { return c.Role.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.Role.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.Role.Update().Where(predicate.Role(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.Role.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.Role.Delete().Where(predicate.Role(p)).Exec(ctx)
		},
	},
	"oauth_providers": {
		create: func(c *ent.Client, r row) execer { return newOAuthProvider(c, r) },
		bulk: func(c *ent.Client, rows ...row) execer {
			return c.OAuthProvider.CreateBulk(each(c, rows, newOAuthProvider)...)
		},
		read:      func(c *ent.Client) scanner { return c.OAuthProvider.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.OAuthProvider.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.OAuthProvider.Update().Where(predicate.OAuthProvider(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.OAuthProvider.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.OAuthProvider.Delete().Where(predicate.OAuthProvider(p)).Exec(ctx)
		},
	},
	"user_roles": {
		create: func(c *ent.Client, r row) execer { return newAssignment(c, r) },
		bulk: func(c *ent.Client, rows ...row) execer {
			return c.RoleAssignment.CreateBulk(each(c, rows, newAssignment)...)
		},
		read: func(c *ent.Client) scanner { return c.RoleAssignment.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer {
			return affected(c.RoleAssignment.Update().Where(of(r)).SetUpdatedAt(changed).Save)
		},
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.RoleAssignment.Update().Where(predicate.RoleAssignment(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer {
			return affected(c.RoleAssignment.Delete().Where(of(r)).Exec)
		},
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.RoleAssignment.Delete().Where(predicate.RoleAssignment(p)).Exec(ctx)
		},
	},
	"refresh_tokens": {
		create: func(c *ent.Client, r row) execer { return newRefreshToken(c, r) },
		bulk: func(c *ent.Client, rows ...row) execer {
			return c.RefreshToken.CreateBulk(each(c, rows, newRefreshToken)...)
		},
		read:      func(c *ent.Client) scanner { return c.RefreshToken.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.RefreshToken.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.RefreshToken.Update().Where(predicate.RefreshToken(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.RefreshToken.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.RefreshToken.Delete().Where(predicate.RefreshToken(p)).Exec(ctx)
		},
	},
	"oauth_states": {
		create: func(c *ent.Client, r row) execer { return newOAuthState(c, r) },
		bulk: func(c *ent.Client, rows ...row) execer {
			return c.OAuthState.CreateBulk(each(c, rows, newOAuthState)...)
		},
		read:      func(c *ent.Client) scanner { return c.OAuthState.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.OAuthState.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.OAuthState.Update().Where(predicate.OAuthState(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.OAuthState.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.OAuthState.Delete().Where(predicate.OAuthState(p)).Exec(ctx)
		},
	},
	"user_identities": {
		create: func(c *ent.Client, r row) execer { return newUserIdentity(c, r) },
		bulk: func(c *ent.Client, rows ...row) execer {
			return c.UserIdentity.CreateBulk(each(c, rows, newUserIdentity)...)
		},
		read:      func(c *ent.Client) scanner { return c.UserIdentity.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.UserIdentity.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.UserIdentity.Update().Where(predicate.UserIdentity(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.UserIdentity.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.UserIdentity.Delete().Where(predicate.UserIdentity(p)).Exec(ctx)
		},
	},
	"one_time_tokens": {
		create: func(c *ent.Client, r row) execer { return newOneTimeToken(c, r) },
		bulk: func(c *ent.Client, rows ...row) execer {
			return c.OneTimeToken.CreateBulk(each(c, rows, newOneTimeToken)...)
		},
		read:      func(c *ent.Client) scanner { return c.OneTimeToken.Query().Select("tenant_id") },
		updateOne: func(c *ent.Client, r row) execer { return c.OneTimeToken.UpdateOneID(r.id).SetUpdatedAt(changed) },
		update: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.OneTimeToken.Update().Where(predicate.OneTimeToken(p)).SetUpdatedAt(changed).Save(ctx)
		},
		deleteOne: func(c *ent.Client, r row) execer { return c.OneTimeToken.DeleteOneID(r.id) },
		delete: func(ctx context.Context, c *ent.Client, p where) (int, error) {
			return c.OneTimeToken.Delete().Where(predicate.OneTimeToken(p)).Exec(ctx)
		},
	},
}

func newUser(c *ent.Client, r row) *ent.UserCreate {
	return named(c.User.Create().SetID(r.id).SetEmail(rand.Text()+"@acme.test"), r)
}

func newRole(c *ent.Client, r row) *ent.RoleCreate {
	return named(c.Role.Create().SetID(r.id).SetName(rand.Text()).SetPermissions([]string{"users:read"}), r)
}

func newOAuthProvider(c *ent.Client, r row) *ent.OAuthProviderCreate {
	return named(c.OAuthProvider.Create().SetID(r.id).SetName("p"+
		strings.ToLower(rand.Text())).SetKind("oidc").SetLabel("Provider").SetClientID("id"), r)
}

func newAssignment(c *ent.Client, r row) *ent.RoleAssignmentCreate {
	return named(c.RoleAssignment.Create().SetUserID(r.user).SetRoleID(r.role), r)
}

func newRefreshToken(c *ent.Client, r row) *ent.RefreshTokenCreate {
	return named(c.RefreshToken.Create().SetID(r.id).SetUserID(r.user).SetExpiresAt(time.Now().Add(time.Hour)), r)
}

func newOAuthState(c *ent.Client, r row) *ent.OAuthStateCreate {
	return named(c.OAuthState.Create().SetID(r.id).SetUserID(r.user).SetProvider("google").SetStateHash(hash()).
		SetCodeVerifier(rand.Text()+rand.Text()).SetNonce(rand.Text()).SetBrowserHash(hash()).
		SetExpiresAt(time.Now().Add(time.Hour)), r)
}

func newUserIdentity(c *ent.Client, r row) *ent.UserIdentityCreate {
	return named(c.UserIdentity.Create().SetID(r.id).SetUserID(r.user).SetProvider("google:"+rand.Text()).
		SetSubject(rand.Text()), r)
}

func newOneTimeToken(c *ent.Client, r row) *ent.OneTimeTokenCreate {
	return named(c.OneTimeToken.Create().SetID(r.id).SetUserID(r.user).SetPurpose("invitation").SetTokenHash(hash()).
		SetExpiresAt(time.Now().Add(time.Hour)), r)
}

// named sets the tenant of a builder if the row has one.
func named[B interface{ SetTenantID(uuid.UUID) B }](builder B, r row) B {
	if r.tenant != nil {
		return builder.SetTenantID(*r.tenant)
	}
	return builder
}

func each[B any](c *ent.Client, rows []row, build func(*ent.Client, row) B) (builders []B) {
	for _, r := range rows {
		builders = append(builders, build(c, r))
	}
	return builders
}

// of is the primary key of an assignment. Builders of one row are not used with it: ent's UpdateOne
// with a composite key panics if the row does not exist.
func of(r row) predicate.RoleAssignment {
	return roleassignment.And(roleassignment.UserID(r.user), roleassignment.RoleID(r.role))
}

// affected makes a builder of many rows return the not-found error of a builder of one row.
type affected func(context.Context) (int, error)

func (rows affected) Exec(ctx context.Context) error {
	n, err := rows(ctx)
	if err == nil && n == 0 {
		err = &ent.NotFoundError{}
	}
	return err
}

func hash() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

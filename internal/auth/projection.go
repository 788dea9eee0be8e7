package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
)

// Projection is all that a request needs to be authorised, and all that `GET /users/me` answers: the user, whether their
// tenant and session are alive, and what they may do. It is read in one statement and loads no edge.
type Projection struct {
	// User has its fields and no edges. The password hash is there at sign-in alone.
	*ent.User
	TenantActive bool
	// TenantSettings are as stored.
	TenantSettings settings.Tenant
	// Roles are names, Permissions the union of what the roles hold.
	Roles, Permissions []string
	// SessionID is the session by which the user was found, SessionBegan when they signed in, and SessionEnds when it is over,
	// whatever happens. Zero if there was none.
	SessionID                 uuid.UUID
	SessionBegan, SessionEnds time.Time
	// Document is the user as the API shows them, in JSON, which is made once.
	Document func() ([]byte, error) `json:"-"`
}

// UnmarshalJSON reads a projection that was shared.
func (p *Projection) UnmarshalJSON(text []byte) error {
	type fields Projection
	if err := json.Unmarshal(text, (*fields)(p)); err != nil {
		return err
	}
	if p.User == nil {
		return errors.New("a projection of nobody")
	}
	p.prepare()
	return nil
}

// prepare makes what is made once.
func (p *Projection) prepare() {
	p.Document = sync.OnceValues(func() ([]byte, error) { return json.Marshal(UserResponse(p.User)) })
}

// Live reports whether the user may act at all.
func (p *Projection) Live() bool { return p.IsActive && p.TenantActive }

// size is about how many bytes the projection takes.
func (p *Projection) size() int {
	n := 1024 + len(p.Email) + len(p.FullName)
	for _, s := range slices.Concat(p.Roles, p.Permissions, p.TenantSettings.RedirectURIs) {
		n += len(s) + 16
	}
	return n
}

type projectionKey struct{}

// FromContext returns the projection of the signed-in user. It is there in every operation that demands a bearer token.
func FromContext(ctx context.Context) (*Projection, error) {
	p, ok := ctx.Value(projectionKey{}).(*Projection)
	if !ok {
		return nil, errors.New("no signed-in user in the context")
	}
	return p, nil
}

// projectionRow is the user joined with one of their roles: a user without roles has one row, with null for the role.
type projectionRow struct {
	ID              uuid.UUID      `sql:"id"`
	TenantID        uuid.UUID      `sql:"tenant_id"`
	Email           string         `sql:"email"`
	PasswordHash    sql.NullString `sql:"password_hash"`
	PasswordVersion int            `sql:"password_version"`
	FullName        string         `sql:"full_name"`
	IsActive        bool           `sql:"is_active"`
	IsSuperuser     bool           `sql:"is_superuser"`
	EmailVerifiedAt sql.NullTime   `sql:"email_verified_at"`
	CreatedAt       time.Time      `sql:"created_at"`
	UpdatedAt       time.Time      `sql:"updated_at"`
	TenantActive    bool           `sql:"tenant_active"`
	TenantSettings  []byte         `sql:"tenant_settings"`
	RoleName        sql.NullString `sql:"role_name"`
	Permissions     []byte         `sql:"permissions"`
	SessionBegan    sql.NullTime   `sql:"session_began"`
	SessionEnds     sql.NullTime   `sql:"session_ends"`
}

// joined are the tables that a projection may be found by.
type joined struct {
	users   *sql.Selector
	tenants *sql.SelectTable
}

// loadProjection reads the projection of the user that find describes, nil if there is none. The tenant filter of the
// context applies.
func loadProjection(ctx context.Context, client *ent.Client, find func(joined)) (*Projection, error) {
	var rows []projectionRow
	err := client.User.Query().Modify(func(users *sql.Selector) {
		tenants := sql.Table(tenant.Table).As("t")
		assignments := sql.Table(roleassignment.Table).As("ra")
		roles := sql.Table(role.Table).As("r")
		users.Join(tenants).On(users.C(user.FieldTenantID), tenants.C(tenant.FieldID))
		users.LeftJoin(assignments).OnP(sql.And(
			sql.ColumnsEQ(users.C(user.FieldID), assignments.C(roleassignment.FieldUserID)),
			sql.ColumnsEQ(users.C(user.FieldTenantID), assignments.C(roleassignment.FieldTenantID)),
		))
		users.LeftJoin(roles).OnP(sql.And(
			sql.ColumnsEQ(assignments.C(roleassignment.FieldRoleID), roles.C(role.FieldID)),
			sql.ColumnsEQ(assignments.C(roleassignment.FieldTenantID), roles.C(role.FieldTenantID)),
		))
		users.Select(users.Columns(user.FieldID, user.FieldTenantID, user.FieldEmail, user.FieldFullName, user.FieldIsActive,
			user.FieldIsSuperuser, user.FieldPasswordVersion, user.FieldEmailVerifiedAt, user.FieldCreatedAt, user.FieldUpdatedAt)...).
			AppendSelectAs(tenants.C(tenant.FieldIsActive), "tenant_active").
			AppendSelectAs(tenants.C(tenant.FieldSettings), "tenant_settings").
			AppendSelectAs(roles.C(role.FieldName), "role_name").
			AppendSelectAs(roles.C(role.FieldPermissions), "permissions")
		find(joined{users: users, tenants: tenants})
	}).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read auth projection: %w", err)
	}
	return fold(rows)
}

// fold gathers the roles of one user.
func fold(rows []projectionRow) (*Projection, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	first := rows[0]
	p := &Projection{
		User: &ent.User{
			ID: first.ID, TenantID: first.TenantID, Email: first.Email, FullName: first.FullName, IsActive: first.IsActive,
			IsSuperuser: first.IsSuperuser, PasswordVersion: first.PasswordVersion, CreatedAt: first.CreatedAt, UpdatedAt: first.UpdatedAt,
		},
		TenantActive: first.TenantActive,
		Roles:        []string{},
		SessionBegan: first.SessionBegan.Time,
		SessionEnds:  first.SessionEnds.Time,
	}
	p.prepare()
	if err := json.Unmarshal(first.TenantSettings, &p.TenantSettings); err != nil {
		return nil, fmt.Errorf("read settings of tenant: %w", err)
	}
	if first.PasswordHash.Valid {
		p.PasswordHash = &first.PasswordHash.String
	}
	if first.EmailVerifiedAt.Valid {
		p.EmailVerifiedAt = &first.EmailVerifiedAt.Time
	}
	for _, row := range rows {
		if !row.RoleName.Valid {
			continue
		}
		p.Roles = append(p.Roles, row.RoleName.String)
		var permissions []string
		if err := json.Unmarshal(row.Permissions, &permissions); err != nil {
			return nil, fmt.Errorf("read permissions of role: %w", err)
		}
		p.Permissions = append(p.Permissions, permissions...)
	}
	return p, nil
}

// bySession finds the user of a session that is not revoked, not over at the time, and not older than the password.
func bySession(session uuid.UUID, now time.Time) func(joined) {
	return func(j joined) {
		sessions := sql.Table(refreshtoken.Table).As("s")
		j.users.Join(sessions).OnP(sql.And(
			sql.ColumnsEQ(j.users.C(user.FieldID), sessions.C(refreshtoken.FieldUserID)),
			sql.ColumnsEQ(j.users.C(user.FieldTenantID), sessions.C(refreshtoken.FieldTenantID)),
		))
		j.users.AppendSelectAs(sessions.C(refreshtoken.FieldCreatedAt), "session_began").
			AppendSelectAs(sessions.C(refreshtoken.FieldExpiresAt), "session_ends")
		j.users.Where(sql.And(
			sql.EQ(sessions.C(refreshtoken.FieldID), session),
			sql.EQ(sessions.C(refreshtoken.FieldRevoked), false),
			sql.GT(sessions.C(refreshtoken.FieldExpiresAt), now),
			sql.ColumnsEQ(sessions.C(refreshtoken.FieldPasswordVersion), j.users.C(user.FieldPasswordVersion)),
		))
	}
}

// byUser finds a user by id.
func byUser(id uuid.UUID) func(joined) {
	return func(j joined) { j.users.Where(sql.EQ(j.users.C(user.FieldID), id)) }
}

// byCredentials finds the user of a tenant by the e-mail address in canonical form, with the password hash.
func byCredentials(slug, email string) func(joined) {
	return func(j joined) {
		j.users.AppendSelect(j.users.C(user.FieldPasswordHash))
		j.users.Where(sql.And(
			sql.EQ(j.tenants.C(tenant.FieldSlug), slug),
			sql.EQ(j.users.C(user.FieldEmail), email),
		))
	}
}

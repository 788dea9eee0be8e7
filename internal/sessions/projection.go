package sessions

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/schema/settings"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// Projection is all that a request needs to be authorised, and all that `GET /users/me` answers:
// the user, whether their tenant and session are alive, and what they may do. It is read in one
// statement and loads no edge.
type Projection struct {
	// User has its fields and no edges. The password hash is there at sign-in alone.
	*ent.User
	TenantActive bool
	// TenantSettings are as stored.
	TenantSettings settings.Tenant
	// Roles are the names for tokens, without those that pose as system roles (roles.Poses).
	// Permissions are the union of what all roles hold.
	Roles, Permissions []string
	// CredentialID identifies the credential of the request: the session of an access token. It is
	// zero if the projection was read by user or by password.
	CredentialID uuid.UUID
	// Expires is when the credential expires at the latest.
	Expires time.Time
	// AuthenticatedAt and Methods are when and how the user has proved who they are. Methods is
	// empty for sessions of earlier versions.
	AuthenticatedAt time.Time
	Methods         []string

	derived derived
}

// Live reports whether the user and the tenant are active.
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

// FromContext returns the projection of the signed-in user. It is there in every operation that
// demands a bearer token.
func FromContext(ctx context.Context) (*Projection, error) {
	p, ok := ctx.Value(projectionKey{}).(*Projection)
	if !ok {
		return nil, errors.New("no signed-in user in the context")
	}
	return p, nil
}

// The statement of a projection has a row for each role of the user, and one with null for the role
// of a user without. It is run for every request that is not cached, and written out because ent's
// builder would take longer for it than Postgres does. A session is live if it is not revoked, has
// not expired at the time ($1), and has the user's password_version and its provider's generation.
const (
	selectProjection = `SELECT u.id, u.tenant_id, u.email, u.full_name, u.is_active, u.is_superuser, u.password_version,
	u.email_verified_at, u.created_at, u.updated_at, t.is_active, t.settings, r.name, r.is_system, r.permissions, `
	fromProjection = ` FROM users AS u
JOIN tenants AS t ON t.id = u.tenant_id
LEFT JOIN user_roles AS ra ON ra.user_id = u.id AND ra.tenant_id = u.tenant_id
LEFT JOIN roles AS r ON r.id = ra.role_id AND r.tenant_id = ra.tenant_id`

	ofSessions = selectProjection + `s.id, s.created_at, s.expires_at, s.authenticated_at, s.amr, NULL` +
		fromProjection + `
JOIN refresh_tokens AS s ON s.user_id = u.id AND s.tenant_id = u.tenant_id
WHERE NOT s.revoked AND s.expires_at > $1 AND s.password_version = u.password_version AND ` + ofLiveProvider +
		` AND s.id `
	projectionBySession   = ofSessions + `= $2`
	projectionsBySessions = ofSessions + `IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	projectionByUser      = selectProjection + `NULL, NULL, NULL, NULL, NULL, NULL` + fromProjection +
		` WHERE u.id = $1`
	projectionByCredentials = selectProjection + `NULL, NULL, NULL, NULL, NULL, u.password_hash` + fromProjection +
		` WHERE t.slug = $1 AND u.email = $2`

	// The tenant filter, which no policy adds to a statement that is written out.
	inTenant2, inTenant3 = ` AND u.tenant_id = $2`, ` AND u.tenant_id = $3`

	// maxSessionsAtOnce is how many sessions projectionsBySessions names.
	maxSessionsAtOnce = 16
)

// wanted is the statement that selects a projection.
type wanted struct {
	// inTenant is the statement for one tenant, and statement that for the system.
	statement, inTenant string
	args                []any
}

// bySession selects the user of a session that is live at a time.
func bySession(session uuid.UUID, now time.Time) wanted {
	return wanted{projectionBySession, projectionBySession + inTenant3, []any{now, session}}
}

// byUser selects a user by ID.
func byUser(id uuid.UUID) wanted {
	return wanted{projectionByUser, projectionByUser + inTenant2, []any{id}}
}

// byCredentials selects the user of a tenant by the canonical e-mail address, with the password
// hash.
func byCredentials(slug, email string) wanted {
	return wanted{projectionByCredentials, projectionByCredentials + inTenant3, []any{slug, email}}
}

// ProjectionOfUser reads the projection of a user by ID, nil if the user does not exist. The tenant
// filter of the context applies.
func ProjectionOfUser(ctx context.Context, client *ent.Client, id uuid.UUID) (*Projection, error) {
	return loadProjection(ctx, client, byUser(id))
}

// ProjectionOfCredentials reads the projection of the user of a tenant by the canonical e-mail
// address, with the password hash: nil if the user does not exist. The tenant filter of the context
// applies.
func ProjectionOfCredentials(ctx context.Context, client *ent.Client, slug, email string) (*Projection, error) {
	return loadProjection(ctx, client, byCredentials(slug, email))
}

// loadProjection reads one projection, nil if the statement selects no user. The tenant
// filter of the context applies.
func loadProjection(ctx context.Context, client *ent.Client, of wanted) (*Projection, error) {
	acting, ok := principal.FromContext(ctx)
	if !ok {
		return nil, errors.New("read auth projection: no principal in the context")
	}
	if !acting.IsSystem() {
		of.statement, of.args = of.inTenant, append(of.args, acting.TenantID)
	}
	found, err := readProjections(ctx, client, of.statement, of.args)
	for _, p := range found {
		return p, err
	}
	return nil, err
}

// loadProjections reads the projections of at most maxSessionsAtOnce sessions that are live at a
// time. The sessions may be of several tenants, so that only the system may read them.
func loadProjections(ctx context.Context, client *ent.Client, sessions []uuid.UUID,
	now time.Time) (map[uuid.UUID]*Projection, error) {
	if acting, _ := principal.FromContext(ctx); !acting.IsSystem() {
		return nil, errors.New("read auth projections: who acts is not the system")
	}
	args := []any{now}
	for i := range maxSessionsAtOnce {
		args = append(args, sessions[min(i, len(sessions)-1)])
	}
	return readProjections(ctx, client, projectionsBySessions, args)
}

// readProjections runs a statement and returns the projections by credential.
func readProjections(ctx context.Context, client *ent.Client, statement string, args []any) (map[uuid.UUID]*Projection,
	error) {
	found := map[uuid.UUID]*Projection{}
	err := database.Rows(ctx, client, statement, args, func(rows *sql.Rows) error {
		var row projectionRow
		if err := row.scan(rows); err != nil {
			return err
		}
		p, ok := found[row.projection.CredentialID]
		if !ok {
			p = row.projection
			found[p.CredentialID] = p
		}
		if row.role.Valid {
			p.Permissions = append(p.Permissions, row.permissions...)
			if row.system.Bool || !roles.ResemblesSystem(row.role.String) {
				p.Roles = append(p.Roles, row.role.String)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read auth projection: %w", err)
	}
	return found, nil
}

// projectionRow is a user with one of their roles.
type projectionRow struct {
	projection  *Projection
	role        sql.NullString
	system      sql.NullBool
	permissions []string
}

func (r *projectionRow) scan(rows *sql.Rows) error {
	u := &ent.User{}
	p := &Projection{User: u, Roles: []string{}}
	var tenantSettings, permissions, methods sql.RawBytes
	var session uuid.NullUUID
	var created, expires, authenticated sql.NullTime
	if err := rows.Scan(&u.ID, &u.TenantID, &u.Email, &u.FullName, &u.IsActive, &u.IsSuperuser, &u.PasswordVersion,
		&u.EmailVerifiedAt, &u.CreatedAt, &u.UpdatedAt, &p.TenantActive, &tenantSettings, &r.role, &r.system,
		&permissions, &session, &created, &expires, &authenticated, &methods, &u.PasswordHash); err != nil {
		return err
	}
	p.CredentialID, p.Expires, p.AuthenticatedAt = session.UUID, expires.Time, created.Time
	if authenticated.Valid { // the previous version writes none
		p.AuthenticatedAt = authenticated.Time
	}
	if len(methods) > 0 {
		if err := json.Unmarshal(methods, &p.Methods); err != nil {
			return fmt.Errorf("read amr of session: %w", err)
		}
	}
	if string(tenantSettings) != "{}" { // as most are
		if err := json.Unmarshal(tenantSettings, &p.TenantSettings); err != nil {
			return fmt.Errorf("read settings of tenant: %w", err)
		}
	}
	if r.role.Valid {
		if err := json.Unmarshal(permissions, &r.permissions); err != nil {
			return fmt.Errorf("read permissions of role: %w", err)
		}
	}
	r.projection = p
	return nil
}

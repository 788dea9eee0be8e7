package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/principal"
)

const (
	// maxUserAgent is how much of a user agent is kept, in bytes.
	maxUserAgent = 255
	// endedAtOnce is how many sessions one sign-in revokes at most. A user with thousands of
	// sessions from a time before the limit reaches it after several sign-ins.
	endedAtOnce = 100
)

// insertSession inserts a session ($1) of a user ($2) of a tenant ($3) whose password_version is
// still $4, by a provider of the tenant ($12) whose generation is still $13 (-1 if there is none),
// and revokes the least recently refreshed sessions beyond the limit ($10), of the first $11 at
// most. $5 is the time, $7 the time since which a live session was refreshed. It is one statement
// on both databases: a session that is to be revoked conflicts with itself. Below the limit the
// statement updates no row, so that no change is recorded. Rows are locked in the order of their
// ids, so that sign-ins of one user do not deadlock, and a session that was refreshed meanwhile
// stays. $14 and $15 are the time and the methods of the authentication. Tenant and user, which
// ent's policy would check on create, are conditions.
const insertSession = `INSERT INTO refresh_tokens (id, tenant_id, user_id, password_version,
	created_at, updated_at, rotated_at, expires_at, ip, user_agent, provider_id, provider_generation,
	authenticated_at, amr)
WITH owner AS (
	SELECT u.id, u.tenant_id, u.password_version, p.id AS provider_id, p.generation AS provider_generation
	FROM users AS u LEFT JOIN oauth_providers AS p
		ON p.id = $12 AND p.generation = $13 AND p.tenant_id = u.tenant_id AND p.enabled
	WHERE u.id = $2 AND u.tenant_id = $3 AND u.password_version = $4 AND (p.id IS NOT NULL OR $13 = -1)
), live AS NOT MATERIALIZED (
	SELECT id, created_at, rotated_at, expires_at, authenticated_at, amr FROM refresh_tokens AS s
	WHERE user_id = $2 AND tenant_id = $3 AND password_version = $4
		AND NOT revoked AND expires_at > $5 AND rotated_at > $7 AND ` + ofLiveProvider + `
), beyond AS (
	SELECT id, created_at, rotated_at, expires_at, authenticated_at, amr FROM live ORDER BY rotated_at, id LIMIT (
		SELECT CASE WHEN count(*) < $10 THEN 0 ELSE count(*) - $10 + 1 END
		FROM (SELECT id FROM live LIMIT $11) AS counted
	)
)
SELECT $1, tenant_id, id, password_version, $5, $5, $5, $6, $8, $9, provider_id, provider_generation, $14, $15
FROM owner
UNION ALL
SELECT beyond.id, tenant_id, owner.id, password_version, created_at, created_at, rotated_at, expires_at, '', '',
	NULL, NULL, authenticated_at, amr
FROM owner, beyond
ORDER BY 1
ON CONFLICT (id) DO UPDATE SET revoked = true, updated_at = $5,
	revoked_reason = '` + string(refreshtoken.RevokedReasonSessionLimit) + `'
WHERE NOT refresh_tokens.revoked AND refresh_tokens.rotated_at = excluded.rotated_at`

// Start inserts a session, ends the least recently refreshed sessions of the user beyond
// Options.PerUser, and returns the first tokens: 401 if the user was deleted or password_version
// has changed since the proof, 400 if the provider was removed.
func (s *Sessions) Start(
	ctx context.Context, client *ent.Client, p *Projection, by Authentication,
) (*Tokens, error) {
	session, expires, err := s.insertSession(ctx, client, p, by)
	if err != nil {
		return nil, err
	}
	return s.tokens(p, refreshToken{session: session}, expires)
}

// insertSession returns the id of the session and when it expires.
func (s *Sessions) insertSession(
	ctx context.Context, client *ent.Client, p *Projection, by Authentication,
) (session uuid.UUID, expires time.Time, err error) {
	acting, ok := principal.FromContext(ctx)
	if !ok {
		return session, expires, errors.New("start session: no principal in the context")
	}
	tenant := p.TenantID
	if !acting.IsSystem() {
		tenant = acting.TenantID
	}
	if session, err = uuid.NewV7(); err != nil {
		return session, expires, fmt.Errorf("start session: %w", err)
	}
	methods, err := json.Marshal(by.Methods)
	if err != nil {
		return session, expires, fmt.Errorf("start session: %w", err)
	}
	now, lifetimes, limit := s.opts.Clock(), s.opts.Lifetimes.In(p.TenantSettings), max(1, s.opts.PerUser)
	expires = now.Add(lifetimes.RefreshToken)
	result, err := client.ExecContext(ctx, insertSession, session, p.ID, tenant, p.PasswordVersion,
		now, expires, now.Add(-lifetimes.RefreshIdle), by.From.IP, text(by.From.UserAgent, maxUserAgent), limit,
		limit+endedAtOnce-1, by.Provider.ID, by.Provider.generation(), by.At, string(methods))
	if sqlgraph.IsForeignKeyConstraintError(err) {
		return session, expires, ErrCredentials // the user was deleted just now
	}
	if err != nil {
		return session, expires, fmt.Errorf("start session: %w", err)
	}
	written, err := result.RowsAffected()
	if err != nil {
		return session, expires, fmt.Errorf("start session: %w", err)
	}
	if written == 0 && by.Provider.ID.Valid {
		return session, expires, ErrProviderDisabled // the projection was live just now
	}
	if written == 0 {
		return session, expires, ErrCredentials
	}
	if written > 1 && s.opts.Cache != nil {
		s.opts.Cache.Written() // the cache may hold the sessions that were ended; an INSERT alone is not reported to it
	}
	return session, expires, nil
}

package sessions

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/onetimetoken"
	"tenantry/ent/predicate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/database"
)

// A session is revoked when its row says so, when its password_version is not its user's, or when
// its provider_generation is not its provider's. The last two revoke any number of sessions with
// one row of users or of oauth_providers, in the transaction of the operation. Every statement that
// asks for live sessions checks all of them, so that nothing depends on the mark in the row. The
// rows are marked after the commit, for two reasons: revoked_reason tells an operator why, and a
// sign-in or a list skips marked rows by the index on (user_id, revoked). The operation itself
// marks the first markedAtOnce of a user, which for almost every user are all. RevokedMarker marks
// the rest, those of a provider, and the rows of an instance that crashed between the commit and
// the mark. An immediate background run would have to survive a crash as well, and would therefore
// need the same marker.

// markedAtOnce is how many sessions one statement marks.
const markedAtOnce = 500

// unrevoked selects the sessions that are not revoked, in any way.
func unrevoked(s *sql.Selector) {
	s.Where(sql.And(sql.EQ(s.C(refreshtoken.FieldRevoked), false), userVersion(s, sql.OpEQ), hasLiveProvider(s)))
}

// unmarked selects the sessions that are revoked by their password_version and whose row does not
// say so.
func unmarked(s *sql.Selector) {
	s.Where(sql.And(sql.EQ(s.C(refreshtoken.FieldRevoked), false), userVersion(s, sql.OpNEQ)))
}

// unmarkedOfProvider selects the sessions that are revoked by their provider and whose row does not
// say so.
func unmarkedOfProvider(s *sql.Selector) {
	s.Where(sql.And(sql.EQ(s.C(refreshtoken.FieldRevoked), false), sql.Not(hasLiveProvider(s))))
}

// userVersion compares the password_version of a session with its user's. It is a scalar subquery,
// which Postgres runs once for each session by the primary key of users; an EXISTS may become a
// join that reads the table of users from end to end.
func userVersion(s *sql.Selector, op sql.Op) *sql.Predicate {
	of := sql.Dialect(s.Dialect()).Select().From(sql.Table(user.Table))
	of.Select(of.C(user.FieldPasswordVersion)).Where(sql.And(
		sql.ColumnsEQ(of.C(user.FieldID), s.C(refreshtoken.FieldUserID)),
		sql.ColumnsEQ(of.C(user.FieldTenantID), s.C(refreshtoken.FieldTenantID)),
	))
	return sql.P(func(b *sql.Builder) {
		b.Ident(s.C(refreshtoken.FieldPasswordVersion)).WriteOp(op).Wrap(func(b *sql.Builder) { b.Join(of) })
	})
}

// atMost selects n of the sessions that where selects. On Postgres it skips sessions that another
// transaction has locked, so that the statement neither waits nor deadlocks. The ids are an array
// there because Postgres computes it once; it may run a subquery again for each row, and select
// other rows each time.
func atMost(n int, strength sql.LockStrength, where ...predicate.RefreshToken) predicate.RefreshToken {
	return func(s *sql.Selector) {
		ids := sql.Dialect(s.Dialect()).Select(refreshtoken.FieldID).From(sql.Table(refreshtoken.Table)).Limit(n)
		for _, p := range where {
			p(ids)
		}
		if s.Dialect() != dialect.Postgres {
			s.Where(sql.In(s.C(refreshtoken.FieldID), ids))
			return
		}
		ids.For(strength, sql.WithLockAction(sql.SkipLocked))
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString(s.C(refreshtoken.FieldID)).WriteString(" = ANY (ARRAY(").Join(ids).WriteString("))")
		}))
	}
}

// RevokeAll raises the password_version of a user, which revokes every session of the user and
// that of a sign-in that is under way, and deletes the one-time tokens that would start another.
// The caller calls MarkRevoked after the commit.
func RevokeAll(ctx context.Context, tx *ent.Client, id uuid.UUID) error {
	if err := tx.User.Update().Where(user.ID(id)).AddPasswordVersion(1).Exec(ctx); err != nil {
		return fmt.Errorf("revoke sessions: %w", err)
	}
	return DeleteOneTimeTokens(ctx, tx, id)
}

// DeleteOneTimeTokens deletes every one-time token of a user, for a caller that raises
// password_version with other columns.
func DeleteOneTimeTokens(ctx context.Context, tx *ent.Client, id uuid.UUID) error {
	if _, err := tx.OneTimeToken.Delete().Where(onetimetoken.UserID(id)).Exec(ctx); err != nil {
		return fmt.Errorf("delete one-time tokens: %w", err)
	}
	return nil
}

// LogoutAll signs a user out everywhere.
func (s *Sessions) LogoutAll(ctx context.Context, user uuid.UUID) error {
	err := database.WithTx(ctx, s.client, func(tx *ent.Client) error { return RevokeAll(ctx, tx, user) })
	if err != nil {
		return err
	}
	MarkRevoked(ctx, s.client, user, refreshtoken.RevokedReasonLogout)
	return nil
}

// MarkRevoked marks the first markedAtOnce sessions of a user that a raised password_version has
// revoked, also if the client has disconnected. It returns no error: the sessions are revoked
// already, and RevokedMarker marks the rest.
func MarkRevoked(ctx context.Context, client *ent.Client, id uuid.UUID, reason refreshtoken.RevokedReason) {
	_, _ = mark(context.WithoutCancel(ctx), client, reason, refreshtoken.UserID(id), unmarked)
}

// mark marks at most markedAtOnce of the sessions that where selects, which are revoked already. It
// returns their number.
func mark(
	ctx context.Context, client *ent.Client, reason refreshtoken.RevokedReason, where ...predicate.RefreshToken,
) (int, error) {
	marked, err := client.RefreshToken.Update().Where(atMost(markedAtOnce, sql.LockNoKeyUpdate, where...)).
		SetRevoked(true).SetRevokedReason(reason).Save(database.WithoutInvalidation(ctx))
	if err != nil {
		return 0, fmt.Errorf("mark revoked sessions: %w", err)
	}
	return marked, nil
}

// Keep keeps one session of a user live in the transaction that raises the user's
// password_version by one to this one, which revokes the others: 401 if the session was revoked
// meanwhile, which it must stay. The caller calls MarkRevoked after the commit.
func Keep(ctx context.Context, tx *ent.Client, id, session uuid.UUID, version int) error {
	kept, err := tx.RefreshToken.Update().Where(
		refreshtoken.ID(session), refreshtoken.UserID(id), refreshtoken.PasswordVersion(version-1),
		refreshtoken.Revoked(false),
	).SetPasswordVersion(version).Save(ctx)
	if err != nil {
		return fmt.Errorf("keep session: %w", err)
	}
	if kept == 0 {
		return errInvalidToken
	}
	return nil
}

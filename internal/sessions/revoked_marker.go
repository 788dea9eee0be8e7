package sessions

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tenantry/ent/predicate"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

const (
	// markerPage is how many sessions a marker reads at once.
	markerPage = 1000
	// markerRest is for how many times its own time a marker rests after a page.
	markerRest = 19
)

// nextSessions reads $2 sessions after an id ($1), the oldest first, and whether each is not marked
// and revoked by its password_version, and by its provider. A join may read the table of users from
// end to end; the subquery is run for each session by the primary key.
const nextSessions = `SELECT s.id, NOT s.revoked AND s.password_version <> (
	SELECT u.password_version FROM users AS u WHERE u.id = s.user_id AND u.tenant_id = s.tenant_id
), NOT s.revoked AND NOT ` + ofLiveProvider + ` FROM refresh_tokens AS s WHERE s.id > $1 ORDER BY s.id LIMIT $2`

// RevokedMarker marks the sessions that a raised password_version or a provider has revoked and
// that the operation has not marked: all but the first of a user with many sessions, those of a
// provider, and all of them if the instance crashed. No index leads to these rows, and nothing
// depends on when they are marked. The marker therefore reads the table by its primary key, one
// page a run, and continues while a page has rows to mark. A page costs some milliseconds; the
// whole table is never read at once.
type RevokedMarker struct {
	sessions *Sessions
	// after is the last session that was read.
	after uuid.UUID
}

// NewRevokedMarker returns a marker that starts with the oldest session.
func (s *Sessions) NewRevokedMarker() *RevokedMarker { return &RevokedMarker{sessions: s} }

// Run reads the next page of sessions and marks its rows, and so on until a page has no row to
// mark. The first page follows the last.
func (m *RevokedMarker) Run(ctx context.Context) error {
	ctx = principal.System(ctx, "housekeeping: sessions of every tenant")
	for {
		begun := time.Now()
		marked, err := m.page(ctx)
		if err != nil || marked == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(markerRest * time.Since(begun)):
		}
	}
}

// page returns how many sessions of the next page were marked.
func (m *RevokedMarker) page(ctx context.Context) (marked int, err error) {
	var last uuid.UUID
	var ofUsers, ofProviders []uuid.UUID
	read := 0
	err = database.Rows(ctx, m.sessions.client, nextSessions, []any{m.after, markerPage}, func(rows *sql.Rows) error {
		var ofUser, ofProvider bool
		if err := rows.Scan(&last, &ofUser, &ofProvider); err != nil {
			return err
		}
		read++
		if ofUser {
			ofUsers = append(ofUsers, last)
		} else if ofProvider {
			ofProviders = append(ofProviders, last)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read sessions: %w", err)
	}
	if read < markerPage {
		last = uuid.Nil // from the beginning again
	}
	for _, found := range []struct {
		sessions []uuid.UUID
		reason   refreshtoken.RevokedReason
		unmarked predicate.RefreshToken
	}{
		{ofUsers, refreshtoken.RevokedReasonPasswordVersion, unmarked},
		{ofProviders, refreshtoken.RevokedReasonProviderRemoved, unmarkedOfProvider},
	} {
		for some := range slices.Chunk(found.sessions, markedAtOnce) {
			n, err := mark(ctx, m.sessions.client, found.reason, refreshtoken.IDIn(some...), found.unmarked)
			if marked += n; err != nil {
				return marked, err
			}
		}
	}
	m.after = last
	return marked, nil
}

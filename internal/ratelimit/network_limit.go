package ratelimit

import (
	"context"
	"fmt"
	"time"

	entthrottle "tenantry/ent/throttle"
	"tenantry/internal/network"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

const (
	// flowWindow is the lifetime of a flow at a provider, registrationWindow that of a registration
	// in the count.
	flowWindow, registrationWindow = 10 * time.Minute, time.Hour
)

// spendOfNetwork counts one request for a client network and for a tenant in that network, or, if
// either is at its limit, for neither (two parallel requests may leave one of the counts too high
// by one). It is the generic cell rate algorithm (GCRA, ITU-T I.371): one row of constant size
// holds the time at which the whole limit is available again, and no job refills it.
//
//   - $1, $3: the IDs of network and tenant.
//   - $2, $4: the milliseconds in which each is allowed one more request.
//   - $5: the time in milliseconds since 1970. $6: the window in milliseconds.
const spendOfNetwork = `INSERT INTO throttles (id, excess, blocked_until, expires_at)
SELECT spent.id, 0, CAST($5 AS bigint) + spent.spacing, CAST($5 AS bigint) + spent.spacing FROM (
	SELECT CAST($1 AS text) AS id, CAST($2 AS bigint) AS spacing, 1 AS place
	UNION ALL SELECT CAST($3 AS text), CAST($4 AS bigint), 2
) AS spent
WHERE NOT EXISTS (SELECT 1 FROM throttles AS network WHERE network.id = $1 AND network.blocked_until + $2 - $5 > $6)
	AND NOT EXISTS (SELECT 1 FROM throttles AS tenant WHERE tenant.id = $3 AND tenant.blocked_until + $4 - $5 > $6)
ORDER BY spent.place
ON CONFLICT (id) DO UPDATE SET
	blocked_until = excluded.blocked_until
		+ CASE WHEN throttles.blocked_until > $5 THEN throttles.blocked_until - $5 ELSE 0 END,
	expires_at = excluded.expires_at
		+ CASE WHEN throttles.blocked_until > $5 THEN throttles.blocked_until - $5 ELSE 0 END
WHERE throttles.blocked_until - $5 + excluded.blocked_until - $5 <= $6`

// SpendFlow counts a sign-in at a provider that a client network begins in a tenant: 429 if it has
// begun too many.
func (l *Limiter) SpendFlow(ctx context.Context, ip, slug string) error {
	return l.spendOfNetwork(ctx, "flow", ip, slug, l.flows, flowWindow)
}

// SpendRegistration counts a request of a client network to create an account in a tenant, or a
// tenant if slug is "": 429 if there were too many.
func (l *Limiter) SpendRegistration(ctx context.Context, ip, slug string) error {
	return l.spendOfNetwork(ctx, "registration", ip, slug, l.registrations, registrationWindow)
}

// spendOfNetwork allows a network limit requests per window, also in one burst, and half as many in
// one tenant, so that requests to one tenant do not use up the limit of other clients in the
// network. It returns 429 beyond that. A limit of 0 turns it off.
func (l *Limiter) spendOfNetwork(ctx context.Context, kind, ip, slug string, limit int, window time.Duration) error {
	if limit == 0 {
		return nil
	}
	ctx = principal.System(ctx, "limit of a network: throttles belong to no tenant")
	inNetwork, inTenant := l.id(kind+"\n"+network.Of(ip)), l.id(kind+"\n"+network.Of(ip)+"\n"+slug)
	spacing := map[string]int64{
		inNetwork: window.Milliseconds() / int64(limit), inTenant: window.Milliseconds() / int64(max(1, limit/2)),
	}
	now := l.clock().UnixMilli()
	result, err := l.client.ExecContext(ctx, spendOfNetwork,
		inNetwork, spacing[inNetwork], inTenant, spacing[inTenant], now, window.Milliseconds())
	if err != nil {
		return fmt.Errorf("count request of a network: %w", err)
	}
	spent, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("count request of a network: %w", err)
	}
	if spent == 2 {
		return nil
	}
	rows, err := l.client.Throttle.Query().Where(entthrottle.IDIn(inNetwork, inTenant)).All(ctx)
	if err != nil {
		return fmt.Errorf("read limit of a network: %w", err)
	}
	wait := time.Second
	for _, row := range rows {
		wait = max(wait, time.Duration(row.BlockedUntil+spacing[row.ID]-now)*time.Millisecond-window)
	}
	return problem.TooMany(wait)
}

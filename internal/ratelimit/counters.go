package ratelimit

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"tenantry/internal/database"
	"tenantry/internal/principal"
)

// countAttempt counts an attempt in up to three counters and returns the IDs of those that counted
// it: the client's address, the account, and the bucket, which the attempts on the account from
// networks of one class share. An ID that is empty is left out.
//
//   - $1, $3, $6: the IDs of address, account and bucket.
//   - $2, $4, $7: what each begins with, which is one minus its free attempts.
//   - $5, $8: the excess from which on the account and the bucket count nothing more.
//   - $9: if not empty, the account counts only while the counter with this ID has not expired.
//   - $10: when the counters expire. $11: the time. Both in milliseconds since 1970.
//   - $12: the ID of the account if its wait does not stop it, else empty.
//
// A counter that waits (blocked_until) counts nothing. While the address waits, nothing is counted;
// while the bucket waits or is used up, the account counts nothing. After the last free attempt
// each attempt doubles the wait, from one second to one minute. Counting and deciding are one
// statement, so that parallel guesses cannot pass between them. Rows are locked in the order
// address, account, bucket, so that attempts do not deadlock.
const countAttempt = `INSERT INTO throttles (id, excess, blocked_until, expires_at)
SELECT counted.id, counted.excess, 0, CAST($10 AS bigint) FROM (
	SELECT CAST($1 AS text) AS id, CAST($2 AS bigint) AS excess, 1 AS place
	UNION ALL SELECT CAST($3 AS text), CAST($4 AS bigint), 2
	UNION ALL SELECT CAST($6 AS text), CAST($7 AS bigint), 3
) AS counted
WHERE counted.id <> ''
	AND NOT EXISTS (SELECT 1 FROM throttles AS address WHERE address.id = $1 AND address.blocked_until > $11)
	AND (counted.place <> 2 OR CAST($9 AS text) = ''
		OR EXISTS (SELECT 1 FROM throttles AS known WHERE known.id = $9 AND known.expires_at > $11))
	AND (counted.place <> 2 OR NOT EXISTS (
		SELECT 1 FROM throttles AS bucket WHERE bucket.id = $6 AND bucket.expires_at > $11
			AND (bucket.blocked_until > $11 OR bucket.excess >= $8)))
ORDER BY counted.place
ON CONFLICT (id) DO UPDATE SET
	excess = CASE WHEN throttles.expires_at <= $11 THEN excluded.excess ELSE throttles.excess + 1 END,
	blocked_until = CASE
		WHEN throttles.expires_at <= $11 THEN 0
		WHEN throttles.id = $12 THEN throttles.blocked_until
		WHEN throttles.excess < -1 THEN 0
		WHEN throttles.excess >= 5 THEN $11 + 60000
		ELSE $11 + 1000 * (1 << CAST(throttles.excess + 1 AS integer)) END,
	expires_at = excluded.expires_at
WHERE throttles.expires_at <= $11 OR (
	(throttles.blocked_until <= $11 OR throttles.id = $12)
	AND (throttles.id <> $3 OR throttles.excess < $5)
	AND (throttles.id <> $6 OR throttles.excess < $8))
RETURNING id`

// settleAttempt refunds one attempt to the address $1, the account $2 and the bucket $3. If $4 is
// 1, it resets the account and the bucket instead. It creates or extends the counter $5, which
// expires at $6. An ID that is empty is left out. Rows are locked in the order of countAttempt. A
// counter that was deleted meanwhile is inserted as expired.
const settleAttempt = `INSERT INTO throttles (id, excess, blocked_until, expires_at)
SELECT settled.id, CASE WHEN settled.place = 4 OR (settled.place > 1 AND CAST($4 AS bigint) = 1) THEN 0 ELSE 1 END, 0,
	CASE WHEN settled.place = 4 THEN CAST($6 AS bigint) ELSE 0 END
FROM (
	SELECT CAST($1 AS text) AS id, 1 AS place
	UNION ALL SELECT CAST($2 AS text), 2
	UNION ALL SELECT CAST($3 AS text), 3
	UNION ALL SELECT CAST($5 AS text), 4
) AS settled
WHERE settled.id <> ''
ORDER BY settled.place
ON CONFLICT (id) DO UPDATE SET
	excess = CASE WHEN excluded.excess = 0 THEN 0 ELSE throttles.excess - 1 END,
	blocked_until = CASE WHEN excluded.excess = 0 OR throttles.excess <= 0 THEN 0 ELSE throttles.blocked_until END,
	expires_at = CASE WHEN excluded.excess = 0 THEN excluded.expires_at ELSE throttles.expires_at END`

// counter is a row of throttles that an attempt is counted in.
type counter struct {
	id string
	// free is how many failures cost no wait, limit how many are counted at most.
	free, limit int
	// waits says that an attempt is not counted before the wait of the counter has ended.
	waits bool
}

// first is the excess of the first attempt, last the excess from which on no attempt is counted.
func (c counter) first() int { return 1 - c.free }
func (c counter) last() int  { return c.limit - c.free }

// count counts the attempt in the counters that admit it; the account counts it only if the counter
// known exists, or is "".
func (a *Attempt) count(ctx context.Context, known string) error {
	unwaited := ""
	if !a.account.waits {
		unwaited = a.account.id
	}
	now := a.limiter.clock().UnixMilli()
	err := database.Rows(ctx, a.limiter.client, countAttempt, []any{
		a.address.id, a.address.first(), a.account.id, a.account.first(), a.account.last(),
		a.source.id, a.source.first(), a.source.last(), known, now + failureWindow.Milliseconds(), now, unwaited,
	}, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		a.counted = append(a.counted, id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count attempt: %w", err)
	}
	return nil
}

// settle resets the counters of the account, or refunds the attempt. It also runs if the client has
// disconnected: a correct password must not stay counted as a failure.
func (a *Attempt) settle(ctx context.Context, reset bool) error {
	if len(a.counted) == 0 {
		return nil
	}
	counted := func(c counter) string {
		if !slices.Contains(a.counted, c.id) {
			return ""
		}
		return c.id
	}
	resets, known := 0, ""
	if reset {
		resets, known = 1, a.knownNetwork
	}
	_, err := a.limiter.client.ExecContext(context.WithoutCancel(ctx), settleAttempt,
		counted(a.address), counted(a.account), counted(a.source), resets, known,
		a.limiter.clock().Add(knownNetworkTTL).UnixMilli())
	if err != nil {
		return fmt.Errorf("settle attempt: %w", err)
	}
	return nil
}

// expiredAtOnce is how many throttles one statement deletes: an attack from many addresses creates
// millions of them.
const expiredAtOnce = 1000

// deleteExpired deletes $2 of the throttles that have expired at $1.
const deleteExpired = `DELETE FROM throttles WHERE expires_at < $1 AND id IN (
	SELECT id FROM throttles WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
)`

// DeleteExpired deletes the counters that have expired.
func (l *Limiter) DeleteExpired(ctx context.Context) error {
	ctx = principal.System(ctx, "housekeeping: throttles belong to no tenant")
	for now := l.clock().UnixMilli(); ; {
		result, err := l.client.ExecContext(ctx, deleteExpired, now, expiredAtOnce)
		if err != nil {
			return fmt.Errorf("delete expired throttles: %w", err)
		}
		deleted, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("delete expired throttles: %w", err)
		}
		if deleted < expiredAtOnce {
			return nil
		}
	}
}

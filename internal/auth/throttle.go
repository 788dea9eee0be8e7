package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tenantry/ent"
	entthrottle "tenantry/ent/throttle"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// forgetAfter is how long attempts count after the last of them.
const forgetAfter = time.Hour

// countAttempt counts an attempt of an address ($1) and of an account ($3, empty for none), with what they have beyond the
// free ones if it is the first ($2, $4), until $5, at $6. It changes one row for each if neither has to wait, and fewer if
// one has: counting and deciding are one statement, so that no number of parallel guesses gets past it. An address that
// has to wait does not count against accounts. From the last free attempt on, the wait doubles from a second to a minute;
// nobody is locked out for good.
const countAttempt = `INSERT INTO throttles (id, excess, blocked_until, expires_at)
SELECT counted.id, counted.excess, 0, CAST($5 AS bigint) FROM (
	SELECT CAST($1 AS text) AS id, CAST($2 AS bigint) AS excess, 1 AS place
	UNION ALL SELECT CAST($3 AS text), CAST($4 AS bigint), 2
) AS counted
WHERE counted.id <> ''
	AND NOT EXISTS (SELECT 1 FROM throttles AS address WHERE address.id = $1 AND address.blocked_until > $6)
ORDER BY counted.place
ON CONFLICT (id) DO UPDATE SET
	excess = CASE WHEN throttles.expires_at <= $6 THEN excluded.excess ELSE throttles.excess + 1 END,
	blocked_until = CASE
		WHEN throttles.expires_at <= $6 OR throttles.excess < -1 THEN 0
		WHEN throttles.excess >= 5 THEN $6 + 60000
		ELSE $6 + 1000 * (1 << CAST(throttles.excess + 1 AS integer)) END,
	expires_at = excluded.expires_at
WHERE throttles.blocked_until <= $6`

// takeBack undoes one attempt of an address ($1) and of an account ($2). What the account had failed before is forgotten
// if $3 is its id again.
const takeBack = `UPDATE throttles SET
	excess = excess - 1,
	blocked_until = CASE WHEN excess <= 0 OR id = $3 THEN 0 ELSE blocked_until END,
	expires_at = CASE WHEN id = $3 THEN 0 ELSE expires_at END
WHERE id IN ($1, $2)`

// throttle slows down who guesses passwords: per account and per address, before anything is hashed, in the database, so
// that every instance counts the same (NIST SP 800-63B-4 §3.2.2).
type throttle struct {
	client *ent.Client
	key    []byte
	clock  func() time.Time
	// account and address are how many attempts are free.
	account, address int
}

// attempt is one sign-in that was counted.
type attempt struct {
	*throttle
	addressID, accountID string
}

// subject is the account that an attempt counts against: a user, wherever the attempt came from, or what was named instead
// of one.
func subject(user *Projection, slug, email, ip string) string {
	switch {
	case user == nil:
		return "name\n" + slug + "\n" + strings.ToLower(email)
	case user.KnownAddress:
		// Where the user has signed in before they are not held up by strangers (ASVS 6.1.1).
		return "user\n" + user.ID.String() + "\n" + network(ip)
	default:
		return "user\n" + user.ID.String()
	}
}

// take counts an attempt: 429 if the address or the account has to wait. The context must be the system's.
func (t *throttle) take(ctx context.Context, ip, account string) (*attempt, error) {
	taken := &attempt{throttle: t, addressID: t.id("address\n" + network(ip))}
	want := int64(1)
	if account != "" {
		taken.accountID, want = t.id(account), 2
	}
	now := t.clock().UnixMilli()
	counted, err := t.client.ExecContext(ctx, countAttempt, taken.addressID, 1-t.address, taken.accountID, 1-t.account,
		now+forgetAfter.Milliseconds(), now)
	if err != nil {
		return nil, fmt.Errorf("count attempt: %w", err)
	}
	changed, err := counted.RowsAffected()
	if err != nil {
		return nil, fmt.Errorf("count attempt: %w", err)
	}
	if changed == want {
		return taken, nil
	}
	rows, err := t.client.Throttle.Query().Where(entthrottle.IDIn(taken.addressID, taken.accountID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read throttle: %w", err)
	}
	wait := time.Second
	for _, row := range rows {
		wait = max(wait, time.Duration(row.BlockedUntil-now)*time.Millisecond)
	}
	return nil, problem.TooMany(wait)
}

// succeed takes the attempt back, and every one of the account before it.
func (a *attempt) succeed(ctx context.Context) error { return a.undo(ctx, a.accountID) }

// refund takes the attempt back, for one that was not decided. It is of no use while the database is away.
func (a *attempt) refund(ctx context.Context) { _ = a.undo(ctx, "") }

func (a *attempt) undo(ctx context.Context, forget string) error {
	if _, err := a.client.ExecContext(ctx, takeBack, a.addressID, a.accountID, forget); err != nil {
		return fmt.Errorf("take attempt back: %w", err)
	}
	return nil
}

// ForgetAttempts removes the sign-ins that no longer count.
func (a *Auth) ForgetAttempts(ctx context.Context) error {
	ctx = principal.System(ctx, "housekeeping: throttles belong to no tenant")
	if _, err := a.client.Throttle.Delete().Where(entthrottle.ExpiresAtLT(a.opts.Clock().UnixMilli())).Exec(ctx); err != nil {
		return fmt.Errorf("forget attempts: %w", err)
	}
	return nil
}

func (t *throttle) id(subject string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// network is what an address is counted by: a customer of IPv6 has a whole /64 to write from (RFC 6177).
func network(ip string) string {
	address, err := netip.ParseAddr(ip)
	if err != nil || address.Is4() || address.Is4In6() {
		return ip
	}
	prefix, _ := address.Prefix(64) // 64 is within the bits of every IPv6 address
	return prefix.String()
}

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

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/tenant"
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
	// counted says that nobody has to wait, addressCounted that the address has not.
	counted, addressCounted bool
}

// signingIn is what an attempt to sign in counts against: what was named, whether it exists or not (ASVS 6.3.8). An address
// is the same account in every spelling.
func signingIn(slug, email string) string {
	canonical, err := CanonicalEmail(email)
	if err != nil {
		canonical = strings.ToLower(email)
	}
	return "name\n" + slug + "\n" + canonical
}

// changing is what a signed-in user's guesses of their own password count against. Strangers have no part in it.
func changing(user uuid.UUID) string { return "change\n" + user.String() }

// take counts an attempt: 429 if the address or the account has to wait. Where somebody of the tenant of a slug has signed in
// before, an account has a count of its own, so that strangers elsewhere do not keep its owner out (ASVS 6.1.1). The context
// must be the system's.
func (t *throttle) take(ctx context.Context, ip, account, slug string) (*attempt, error) {
	taken, err := t.count(ctx, ip, account)
	if err != nil || taken.counted {
		return taken, err
	}
	if taken.addressCounted && slug != "" {
		known, err := t.client.RefreshToken.Query().
			Where(refreshtoken.IP(ip), refreshtoken.HasTenantWith(tenant.Slug(slug))).Exist(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for sessions of an address: %w", err)
		}
		if known {
			(&attempt{throttle: t, addressID: taken.addressID}).refund(ctx)
			if taken, err = t.count(ctx, ip, account+"\n"+network(ip)); err != nil || taken.counted {
				return taken, err
			}
		}
	}
	return nil, t.wait(ctx, taken)
}

func (t *throttle) count(ctx context.Context, ip, account string) (*attempt, error) {
	taken, want := &attempt{throttle: t, addressID: t.id("address\n" + network(ip))}, int64(1)
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
	taken.counted, taken.addressCounted = changed == want, changed > 0
	return taken, nil
}

// wait returns the problem that says how long an attempt that was not counted has to wait.
func (t *throttle) wait(ctx context.Context, refused *attempt) error {
	rows, err := t.client.Throttle.Query().Where(entthrottle.IDIn(refused.addressID, refused.accountID)).All(ctx)
	if err != nil {
		return fmt.Errorf("read throttle: %w", err)
	}
	now, wait := t.clock().UnixMilli(), time.Second
	for _, row := range rows {
		wait = max(wait, time.Duration(row.BlockedUntil-now)*time.Millisecond)
	}
	return problem.TooMany(wait)
}

// succeed takes the attempt back, and every one of the account before it.
func (a *attempt) succeed(ctx context.Context) error { return a.undo(ctx, a.accountID) }

// refund takes the attempt back, for one that was not decided. It is of no use while the database is away.
func (a *attempt) refund(ctx context.Context) { _ = a.undo(ctx, "") }

// undo is done for a client that has hung up as well: a right password is no failure.
func (a *attempt) undo(ctx context.Context, forget string) error {
	if _, err := a.client.ExecContext(context.WithoutCancel(ctx), takeBack, a.addressID, a.accountID, forget); err != nil {
		return fmt.Errorf("take attempt back: %w", err)
	}
	return nil
}

// expiredAtOnce is how many throttles one statement deletes: an attack from many addresses leaves millions.
const expiredAtOnce = 1000

// forgetAttempts deletes $2 of the throttles that have expired at $1.
const forgetAttempts = `DELETE FROM throttles WHERE expires_at < $1 AND id IN (
	SELECT id FROM throttles WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
)`

// ForgetAttempts removes the sign-ins that no longer count.
func (a *Auth) ForgetAttempts(ctx context.Context) error {
	ctx = principal.System(ctx, "housekeeping: throttles belong to no tenant")
	for now := a.opts.Clock().UnixMilli(); ; {
		result, err := a.client.ExecContext(ctx, forgetAttempts, now, expiredAtOnce)
		if err != nil {
			return fmt.Errorf("forget attempts: %w", err)
		}
		forgotten, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("forget attempts: %w", err)
		}
		if forgotten < expiredAtOnce {
			return nil
		}
	}
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

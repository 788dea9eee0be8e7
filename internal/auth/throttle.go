package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	entthrottle "tenantry/ent/throttle"
	"tenantry/internal/network"
	"tenantry/internal/problem"
)

const (
	// failuresForgotten is how long failures count after the last of them.
	failuresForgotten = time.Hour
	// networkKnown is how long an account's network is known after the last sign-in from it.
	networkKnown = 90 * 24 * time.Hour

	// An account has at most maxFailures consecutive failures, at sign-in, change of password, on every
	// instance (NIST SP 800-63B-4 §3.2.2). Unknown networks use at most the first unknownFailures of
	// them, known networks at most the first knownFailures, so that an attack from afar leaves
	// attempts to the owner's networks, and an attack from one of those leaves attempts to the
	// owner's sessions.
	unknownFailures, knownFailures, maxFailures = 50, 80, 100
	// ownFailures is how many consecutive failures one known network, or one user who changes the
	// password, has at most.
	ownFailures = 20
)

// throttle limits how fast passwords are guessed: per account and per address, before anything is
// hashed, in the database, so that every instance counts the same.
type throttle struct {
	client *ent.Client
	key    []byte
	clock  func() time.Time
	// account and address are how many attempts are free.
	account, address int
}

// attempt is a sign-in or a change of password that was counted.
type attempt struct {
	*throttle
	address, account, bucket counter
	// counted are the ids of the counters that have counted it.
	counted []string
	// known is the ID of the counter that keeps the network known.
	known string
	// exceeds says that the attempts of the account for every network are used up, so that a failure
	// is answered as a wait.
	exceeds bool
	// blind says that the attempt is not compared with the password, but costs the same.
	blind bool
}

// accountOf is what an attempt to sign in counts against, whether the account exists or not (ASVS
// 6.3.8). An e-mail address is the same account in every spelling.
func accountOf(slug, email string) string {
	canonical, err := CanonicalEmail(email)
	if err != nil {
		canonical = strings.ToLower(email)
	}
	return "name\n" + slug + "\n" + canonical
}

// ofAddress is the counter of a client network, ofAccount that of an account.
func (t *throttle) ofAddress(ip string) counter {
	return counter{id: t.id("address\n" + network.Of(ip)), free: t.address, limit: math.MaxInt32, waits: true}
}

func (t *throttle) ofAccount(account string, limit int, waits bool) counter {
	return counter{id: t.id(account), free: t.account, limit: max(limit, t.account), waits: waits}
}

func (t *throttle) ofBucket(subject string) counter {
	return counter{id: t.id(subject), free: t.account, limit: max(ownFailures, t.account), waits: true}
}

// spendAddress counts an attempt of an address alone: 429 if it has to wait.
func (t *throttle) spendAddress(ctx context.Context, ip string) (*attempt, error) {
	try := &attempt{throttle: t, address: t.ofAddress(ip)}
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	if len(try.counted) == 0 {
		return nil, t.wait(ctx, try.address)
	}
	return try, nil
}

// spendSignIn counts an attempt to sign in: 429 if the address or the account has to wait. All
// networks share the attempts of an account. Once those are used up, each network has a few of its
// own, which can succeed only if the account has signed in from the network before, so that
// strangers elsewhere do not keep the owner out (ASVS 6.1.1). The others are blind: they cost the
// same, and every failure is the same 429, so that a client learns neither which accounts exist nor
// who has used its network (ASVS 6.3.8). The context must be the system's.
func (t *throttle) spendSignIn(ctx context.Context, ip, account string) (*attempt, error) {
	try := &attempt{throttle: t, address: t.ofAddress(ip), account: t.ofAccount(account, unknownFailures, true)}
	try.known = t.knownNetwork(ip, account)
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	switch {
	case len(try.counted) == 2:
		return try, nil
	case !slices.Contains(try.counted, try.address.id):
		try.refund(ctx)
		return nil, t.wait(ctx, try.address, try.account)
	}
	own := &attempt{throttle: t, account: t.ofAccount(account, knownFailures, false), bucket: t.ofBucket(account + "\n" + network.Of(ip))}
	if err := own.count(ctx, try.known); err != nil {
		return nil, err
	}
	if !slices.Contains(own.counted, own.bucket.id) {
		own.refund(ctx)
		return nil, t.wait(ctx, try.address, try.account)
	}
	try.exceeds, try.blind = true, len(own.counted) == 1
	try.counted = append(try.counted, own.counted...)
	try.bucket = own.bucket
	return try, nil
}

// spendDevice counts an attempt to sign in from a device in which the account has signed in before,
// apart from every network: nil if the device, or the account over everything, has used its attempts
// up.
func (t *throttle) spendDevice(ctx context.Context, ip, account string, d device) (*attempt, error) {
	try := &attempt{throttle: t, account: t.ofAccount(account, maxFailures, false), bucket: t.ofBucket("device\n" + d.id.String())}
	try.known = t.knownNetwork(ip, account)
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	if len(try.counted) < 2 {
		try.refund(ctx)
		return nil, nil
	}
	return try, nil
}

// spendChange counts an attempt of a signed-in user to change the password: 429 if the address or
// the user has to wait. Strangers who guess do not make the user wait.
func (t *throttle) spendChange(ctx context.Context, ip, account string, user uuid.UUID) (*attempt, error) {
	try := &attempt{
		throttle: t, address: t.ofAddress(ip), account: t.ofAccount(account, maxFailures, false),
		bucket: t.ofBucket("change\n" + user.String()),
	}
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	if len(try.counted) == 3 {
		return try, nil
	}
	try.counted = slices.DeleteFunc(try.counted, func(id string) bool { return id == try.address.id })
	try.refund(ctx)
	return nil, t.wait(ctx, try.address, try.account, try.bucket)
}

// wait returns the problem that says how long an attempt that these counters did not count has to
// wait: no attempt is counted before that.
func (t *throttle) wait(ctx context.Context, refused ...counter) error {
	ids := make([]string, len(refused))
	for i, c := range refused {
		ids[i] = c.id
	}
	rows, err := t.client.Throttle.Query().Where(entthrottle.IDIn(ids...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read throttle: %w", err)
	}
	now, wait := t.clock().UnixMilli(), time.Second
	for _, row := range rows {
		c := refused[slices.Index(ids, row.ID)]
		until := int64(0)
		if c.waits {
			until = row.BlockedUntil
		}
		if row.Excess >= int64(c.last()) {
			until = max(until, row.ExpiresAt)
		}
		wait = max(wait, time.Duration(until-now)*time.Millisecond)
	}
	return problem.TooMany(wait)
}

// failed returns the answer to a wrong password: reason, or 429 if the account's attempts are used
// up.
func (a *attempt) failed(ctx context.Context, reason error) error {
	if !a.exceeds {
		return reason
	}
	return a.wait(ctx, a.address, a.account)
}

// succeed refunds the attempt to the address, resets the failures of the account and of the bucket,
// and keeps the network known.
func (a *attempt) succeed(ctx context.Context) error { return a.settle(ctx, true) }

// refund takes the attempt back, for one that was not decided. While the database is down, the
// attempt stays counted.
func (a *attempt) refund(ctx context.Context) { _ = a.settle(ctx, false) }

// knownNetwork is the ID of the counter that exists while the account knows the network.
func (t *throttle) knownNetwork(ip, account string) string {
	return t.id("known\n" + account + "\n" + network.Of(ip))
}

// knows reports whether the account has signed in from the network before. The context must be the
// system's.
func (t *throttle) knows(ctx context.Context, ip, account string) bool {
	known, err := t.client.Throttle.Query().
		Where(entthrottle.ID(t.knownNetwork(ip, account)), entthrottle.ExpiresAtGT(t.clock().UnixMilli())).Exist(ctx)
	return err == nil && known
}

func (t *throttle) id(subject string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

package ratelimit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	entthrottle "tenantry/ent/throttle"
	"tenantry/internal/keyring"
	"tenantry/internal/network"
	"tenantry/internal/problem"
)

const (
	// failureWindow is how long failures count after the last of them.
	failureWindow = time.Hour
	// knownNetworkTTL is how long an account's network is known after the last sign-in from it.
	knownNetworkTTL = 90 * 24 * time.Hour

	// An account is allowed maxFailures consecutive failures, over sign-ins, password changes and
	// all instances (NIST SP 800-63B-4 §3.2.2). Unknown networks may use the first unknownFailures
	// of them, known networks the first knownFailures. The rest is left for known devices and for
	// users who are signed in.
	unknownFailures, knownFailures, maxFailures = 50, 80, 100
	// sourceFailures is how many consecutive failures one known network, one device, or one user who
	// changes the password is allowed.
	sourceFailures = 20
)

// Options are the limits, and the keyring and clock for the counters.
type Options struct {
	// Keyring derives the key of the MAC that makes the IDs of counters.
	Keyring keyring.Keyring
	// AccountAttempts and AddressAttempts are how many attempts to sign in may fail before the next
	// has to wait. At least 2.
	AccountAttempts, AddressAttempts int
	// NetworkFlows and NetworkRegistrations are how many sign-ins at providers a client network may
	// begin in ten minutes, and how many accounts and tenants it may create in an hour. 0 means no
	// limit.
	NetworkFlows, NetworkRegistrations int
	Clock                              func() time.Time
}

// Limiter limits how fast passwords are guessed: per account and per address, before anything is
// hashed, in the database, so that every instance counts the same. It also limits the flows and the
// registrations of a client network.
type Limiter struct {
	client *ent.Client
	key    []byte
	clock  func() time.Time
	// account and address are how many attempts may fail before the next has to wait.
	account, address int
	// flows and registrations are how many a network may begin in their windows.
	flows, registrations int
}

// New returns the limiter of a database.
func New(client *ent.Client, opts Options) (*Limiter, error) {
	keys, err := opts.Keyring.Keys(keyring.Throttle)
	if err != nil {
		return nil, fmt.Errorf("derive the key of throttles: %w", err)
	}
	return &Limiter{
		client: client, key: keys[0], clock: opts.Clock, account: opts.AccountAttempts, address: opts.AddressAttempts,
		flows: opts.NetworkFlows, registrations: opts.NetworkRegistrations,
	}, nil
}

// Attempt is a sign-in or a change of password that was counted.
type Attempt struct {
	limiter *Limiter
	// source counts the attempts of one network, device or user.
	address, account, source counter
	// counted are the ids of the counters that have counted it.
	counted []string
	// knownNetwork is the ID of the row that marks the network as known for the account.
	knownNetwork string
	// exhausted reports that the attempts that all networks share are used up. A failure is then a
	// 429.
	exhausted bool
	// Blind means that the caller hashes the password and rejects it in any case.
	Blind bool
}

// ofAddress returns the counter of a client network.
func (l *Limiter) ofAddress(ip string) counter {
	return counter{id: l.id("address\n" + network.Of(ip)), free: l.address, limit: math.MaxInt32, waits: true}
}

// ofAccount returns the counter of an account.
func (l *Limiter) ofAccount(account string, limit int, waits bool) counter {
	return counter{id: l.id(account), free: l.account, limit: max(limit, l.account), waits: waits}
}

// ofSource returns the counter of one network of an account, of a device, or of a user.
func (l *Limiter) ofSource(subject string) counter {
	return counter{id: l.id(subject), free: l.account, limit: max(sourceFailures, l.account), waits: true}
}

// SpendAddress counts an attempt for the address only: 429 if the address has to wait.
func (l *Limiter) SpendAddress(ctx context.Context, ip string) (*Attempt, error) {
	try := &Attempt{limiter: l, address: l.ofAddress(ip)}
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	if len(try.counted) == 0 {
		return nil, l.wait(ctx, try.address)
	}
	return try, nil
}

// SpendSignIn counts an attempt to sign in: 429 if the address or the account has to wait. All
// networks share the attempts of an account. Once those are used up, each network has a few of its
// own. They can succeed only if the account has signed in from the network before, so that attackers
// elsewhere cannot lock the owner out (ASVS 6.1.1). Attempts from other networks, and those over
// knownFailures, are blind. They cost the same, and every failure is the same 429, so that a client
// learns neither which accounts exist nor who has used its network (ASVS 6.3.8). ctx must carry the
// principal of the system.
func (l *Limiter) SpendSignIn(ctx context.Context, ip, account string) (*Attempt, error) {
	try := &Attempt{limiter: l, address: l.ofAddress(ip), account: l.ofAccount(account, unknownFailures, true)}
	try.knownNetwork = l.knownNetwork(ip, account)
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	switch {
	case len(try.counted) == 2:
		return try, nil
	case !slices.Contains(try.counted, try.address.id):
		try.Refund(ctx)
		return nil, l.wait(ctx, try.address, try.account)
	}
	own := &Attempt{limiter: l, account: l.ofAccount(account, knownFailures, false),
		source: l.ofSource(account + "\n" + network.Of(ip))}
	if err := own.count(ctx, try.knownNetwork); err != nil {
		return nil, err
	}
	if !slices.Contains(own.counted, own.source.id) {
		own.Refund(ctx)
		return nil, l.wait(ctx, try.address, try.account)
	}
	try.exhausted, try.Blind = true, len(own.counted) == 1
	try.counted = append(try.counted, own.counted...)
	try.source = own.source
	return try, nil
}

// SpendDevice counts an attempt to sign in from a device from which the account has signed in
// before, independently of the networks. It returns nil if the device, or the account in total, has
// used up its attempts.
func (l *Limiter) SpendDevice(ctx context.Context, ip, account string, device uuid.UUID) (*Attempt, error) {
	try := &Attempt{limiter: l, account: l.ofAccount(account, maxFailures, false),
		source: l.ofSource("device\n" + device.String())}
	try.knownNetwork = l.knownNetwork(ip, account)
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	if len(try.counted) < 2 {
		try.Refund(ctx)
		return nil, nil
	}
	return try, nil
}

// SpendChange counts an attempt of a signed-in user to change the password: 429 if the address or
// the user has to wait. Failed sign-ins do not make the user wait here; they count towards
// maxFailures.
func (l *Limiter) SpendChange(ctx context.Context, ip, account string, user uuid.UUID) (*Attempt, error) {
	try := &Attempt{
		limiter: l, address: l.ofAddress(ip), account: l.ofAccount(account, maxFailures, false),
		source: l.ofSource("change\n" + user.String()),
	}
	if err := try.count(ctx, ""); err != nil {
		return nil, err
	}
	if len(try.counted) == 3 {
		return try, nil
	}
	// The attempt stays counted for the address.
	try.counted = slices.DeleteFunc(try.counted, func(id string) bool { return id == try.address.id })
	try.Refund(ctx)
	return nil, l.wait(ctx, try.address, try.account, try.source)
}

// wait returns a 429 with the time until the counters accept the next attempt.
func (l *Limiter) wait(ctx context.Context, refused ...counter) error {
	ids := make([]string, len(refused))
	for i, c := range refused {
		ids[i] = c.id
	}
	rows, err := l.client.Throttle.Query().Where(entthrottle.IDIn(ids...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read throttle: %w", err)
	}
	now, wait := l.clock().UnixMilli(), time.Second
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

// Failed returns the answer to a wrong password: reason, or 429 if the account's attempts are used
// up.
func (a *Attempt) Failed(ctx context.Context, reason error) error {
	if !a.exhausted {
		return reason
	}
	return a.limiter.wait(ctx, a.address, a.account)
}

// Reset refunds the attempt to the address, resets the failures of the account and of the source,
// and marks the network as known.
func (a *Attempt) Reset(ctx context.Context) error { return a.settle(ctx, true) }

// Refund takes an attempt off the counters if its password was not verified. While the database is
// down, the attempt stays counted.
func (a *Attempt) Refund(ctx context.Context) { _ = a.settle(ctx, false) }

// knownNetwork returns the ID of the row that exists while the network is known for the account.
func (l *Limiter) knownNetwork(ip, account string) string {
	return l.id("known\n" + account + "\n" + network.Of(ip))
}

// KnowsNetwork reports whether the account has signed in from the network before. The context must
// be the system's.
func (l *Limiter) KnowsNetwork(ctx context.Context, ip, account string) bool {
	known, err := l.client.Throttle.Query().
		Where(entthrottle.ID(l.knownNetwork(ip, account)), entthrottle.ExpiresAtGT(l.clock().UnixMilli())).Exist(ctx)
	return err == nil && known
}

func (l *Limiter) id(subject string) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

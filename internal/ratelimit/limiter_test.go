package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// testLimiter is a limiter with ten free attempts per account and a clock that the test sets.
func testLimiter(client *ent.Client) *Limiter {
	now := time.Now().UTC()
	return &Limiter{client: client, key: []byte("test"), clock: func() time.Time {
		return now
	}, account: 10, address: 1_000_000}
}

// endWaits ends every wait.
func endWaits(ctx context.Context, client *ent.Client) {
	client.Throttle.Update().SetBlockedUntil(0).ExecX(ctx)
}

// signedIn makes a network known to an account.
func (l *Limiter) signedIn(tb testing.TB, ctx context.Context, ip, account string) {
	tb.Helper()
	try, err := l.SpendSignIn(ctx, ip, account)
	if err == nil && !try.Blind {
		err = try.Reset(ctx)
	}
	if err != nil || try.Blind {
		tb.Fatalf("sign in from %s: %v, blind %v", ip, err, try.Blind)
	}
}

// retryAfter returns the Retry-After of an error.
func retryAfter(tb testing.TB, err error) time.Duration {
	tb.Helper()
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok || p.Status != http.StatusTooManyRequests || p.RetryAfter <= 0 {
		tb.Fatalf("%v, want 429", err)
	}
	return p.RetryAfter
}

// compared sends attempts in parallel to two instances, ends every wait, and repeats that until no
// attempt is counted. It returns how many passwords would have been verified.
func compared(ctx context.Context, client *ent.Client, clock func() time.Time,
	attempts ...func(*Limiter) (*Attempt, error)) int64 {
	var total atomic.Int64
	one, other := testLimiter(client), testLimiter(client)
	one.clock, other.clock = clock, clock
	for last := int64(-1); last < total.Load(); {
		last = total.Load()
		var all sync.WaitGroup
		for i, attempt := range attempts {
			all.Go(func() {
				if try, err := attempt([]*Limiter{one, other}[i%2]); err == nil && !try.Blind {
					total.Add(1)
				}
			})
		}
		all.Wait()
		endWaits(ctx, client)
	}
	return total.Load()
}

// NIST SP 800-63B-4 §3.2.2: unknown networks, known networks and the change of the password share
// 100 consecutive failures, and each leaves some to the next.
func TestLimiter_accountHasAtMostHundredFailures(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		opts.PoolSize = 20
		db := dbtest.Open(t, opts)
		ctx, clock, user := principal.System(t.Context(), "test"), testLimiter(nil).clock, uuid.New()
		from := func(ip string) func(*Limiter) (*Attempt, error) {
			return func(l *Limiter) (*Attempt, error) { return l.SpendSignIn(ctx, ip, "ada") }
		}
		change := func(l *Limiter) (*Attempt, error) { return l.SpendChange(ctx, "127.0.0.1", "ada", user) }
		var unknown, known []func(*Limiter) (*Attempt, error)
		for i := range 10 {
			unknown, known = append(unknown, from(fmt.Sprintf("192.0.2.%d", i))),
				append(known, from(fmt.Sprintf("198.51.100.%d", i)))
			testLimiter(db.Client).signedIn(t, ctx, fmt.Sprintf("198.51.100.%d", i), "ada")
		}
		if n := compared(ctx, db.Client, clock, unknown...); n != unknownFailures {
			t.Errorf("%d guesses from unknown networks were compared, want %d", n, unknownFailures)
		}
		// A network that is known for another account is unknown for this one.
		testLimiter(db.Client).signedIn(t, ctx, "192.0.2.1", "bob")
		if n := compared(ctx, db.Client, clock, unknown...); n != 0 {
			t.Errorf("%d more guesses from unknown networks were compared", n)
		}
		if n := compared(ctx, db.Client, clock, known[0]); n != sourceFailures {
			t.Errorf("%d guesses from one known network were compared, want %d", n, sourceFailures)
		}
		if n := compared(ctx, db.Client, clock,
			append(unknown, known...)...); n != knownFailures-unknownFailures-sourceFailures {
			t.Errorf("%d guesses from the other known networks were compared", n)
		}
		if n := compared(ctx, db.Client, clock, change, change, change); n != maxFailures-knownFailures {
			t.Errorf("%d guesses at the change of the password were compared", n)
		}
		if n := compared(ctx, db.Client, clock, append(append(unknown, known...), change)...); n != 0 {
			t.Errorf("%d guesses beyond a hundred were compared", n)
		}
	})
}

// After the Retry-After of a refused attempt, an attempt is counted: for an unknown network, and
// during an attack that repeats its requests.
func TestLimiter_retryAfterIsTheTimeOfTheNextAttempt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, now := principal.System(t.Context(), "test"), time.Now().UTC()
		throttled := testLimiter(db.Client)
		throttled.clock = func() time.Time { return now }
		for i := range unknownFailures {
			ip := fmt.Sprintf("192.0.2.%d", i)
			try, err := throttled.SpendSignIn(ctx, ip, "ada")
			if err != nil || try.exhausted {
				now = now.Add(retryAfter(t, throttled.wait(ctx, throttled.ofAccount("ada", unknownFailures, true))))
				if try, err = throttled.SpendSignIn(ctx, ip, "ada"); err != nil || try.exhausted {
					t.Fatalf("attempt %d after the wait: %v", i, err)
				}
			}
		}
		wait := retryAfter(t, throttled.wait(ctx, throttled.ofAccount("ada", unknownFailures, true)))
		if wait != failureWindow {
			t.Errorf("wait %v, want %v", wait, failureWindow)
		}
		now = now.Add(wait - time.Second)
		if try, err := throttled.SpendSignIn(ctx, "203.0.113.1", "ada"); err != nil || !try.Blind {
			t.Errorf("before the end of the wait: %v", err)
		}
		now = now.Add(time.Second)
		if try, err := throttled.SpendSignIn(ctx, "203.0.113.2", "ada"); err != nil || try.exhausted {
			t.Errorf("at the end of the wait: %v", err)
		}
	})
}

// A network stays known for 90 days after the last sign-in from it, with every address of an IPv6
// /64, and longer than failures are counted.
func TestLimiter_networkIsKnownForNinetyDays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, now := principal.System(t.Context(), "test"), time.Now().UTC()
		throttled := testLimiter(db.Client)
		throttled.clock = func() time.Time { return now }
		attack := func() {
			for i := range 10 {
				_, _ = throttled.SpendSignIn(ctx, fmt.Sprintf("192.0.2.%d", i), "ada")
			}
		}
		throttled.signedIn(t, ctx, "2001:db8::1", "ada")
		for _, age := range []time.Duration{0, knownNetworkTTL - time.Hour, knownNetworkTTL - time.Hour} {
			now = now.Add(age)
			if err := throttled.DeleteExpired(ctx); err != nil {
				t.Fatal(err)
			}
			attack()
			throttled.signedIn(t, ctx, "2001:db8::ffff", "ada") // renews it
		}
		now = now.Add(knownNetworkTTL)
		attack()
		if try, err := throttled.SpendSignIn(ctx, "2001:db8::1", "ada"); err != nil || !try.Blind {
			t.Errorf("the network is still known: %v", err)
		}
	})
}

// NIST SP 800-63B-4 §3.2.2 limits consecutive failures: a correct password resets them, from any
// network.
func TestLimiter_successResetsFailuresOfTheAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, throttled, d := principal.System(t.Context(), "test"), testLimiter(db.Client), uuid.New()
		throttled.signedIn(t, ctx, "192.0.2.1", "ada")
		for i := range 20 {
			_, _ = throttled.SpendSignIn(ctx, fmt.Sprintf("198.51.100.%d", i), "ada")
		}
		throttled.signedIn(t, ctx, "192.0.2.1", "ada")
		throttled.signedIn(t, ctx, "203.0.113.1", "ada") // unknown until now
		// With a success after each failure there is never more than one consecutive failure.
		for round := range 2 * maxFailures {
			for _, right := range []bool{false, true} {
				try, err := throttled.SpendDevice(ctx, "192.0.2.2", "ada", d)
				if err == nil && try != nil && right {
					err = try.Reset(ctx)
				}
				if err != nil || try == nil {
					t.Fatalf("round %d, right %t: %v, refused %t", round, right, err, try == nil)
				}
			}
		}
	})
}

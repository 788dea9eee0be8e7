package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent/throttle"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// from signs in as the client of an address, which a trusted proxy tells.
func (s *instance) from(ip string, body map[string]string) answer {
	s.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.Context(), "POST", s.url+"/api/v1/auth/login", strings.NewReader(string(encoded)))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if ip != "" {
		r.Header.Set("X-Forwarded-For", ip)
	}
	return s.do(r)
}

// behindProxy makes the tests' own address that of a trusted proxy.
func behindProxy(c *config.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// waited lets every wait be over.
func (s *instance) waited() {
	s.db.Client.Throttle.Update().SetBlockedUntil(0).ExecX(principal.System(s.Context(), "test"))
}

// decided fails unless as many of the answers as want are a decision on the password, and the others a wait. On a machine
// that is too busy to decide all of them, an answer may be an outage instead of a decision.
func decided(t *testing.T, want int, answers []answer) {
	t.Helper()
	n, busy := 0, 0
	for _, a := range answers {
		switch {
		case a.status == http.StatusUnauthorized:
			n++
		case a.header.Get("Retry-After") == "":
			t.Errorf("%d without Retry-After: %s", a.status, a.body)
		case a.status == http.StatusServiceUnavailable:
			busy++
		case a.status != http.StatusTooManyRequests:
			t.Errorf("%d: %s", a.status, a.body)
		}
	}
	if n > want || n+busy < want {
		t.Errorf("%d guesses were decided, want %d", n, want)
	}
}

// still is a clock that stands, so that no wait ends by itself.
func still() func() time.Time {
	now := time.Now().UTC()
	return func() time.Time { return now }
}

func TestGuesses_in_parallel_over_two_instances_are_counted_before_they_are_hashed(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := still()
		instances := []*instance{startAt(t, opts, clock, behindProxy), startAt(t, opts, clock, behindProxy)}
		guess := func(of string, each func(i int) (ip, email string)) {
			t.Helper()
			answers := make([]answer, 60)
			var wait sync.WaitGroup
			for i := range answers {
				ip, email := each(i)
				wait.Go(func() { answers[i] = instances[i%2].from(ip, credentials(email, "wrong "+of)) })
			}
			wait.Wait()
			decided(t, 10, answers)
		}
		spellings := []string{ownerEmail, strings.ToUpper(ownerEmail), "Owner@acme.test"}
		guess("account", func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), spellings[i%3] })
		guess("nobody", func(i int) (string, string) { return fmt.Sprintf("198.51.100.%d", i), "nobody@acme.test" })
	})
}

func TestGuesses_from_one_address_are_counted_whatever_it_says_of_itself(t *testing.T) {
	t.Parallel()
	few := func(c *config.Config) { c.SignInAddressAttempts = 5 }
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := startAt(t, opts, still(), few)
		answers := make([]answer, 20)
		for i := range answers {
			// Nobody is a trusted proxy here.
			answers[i] = s.from(fmt.Sprintf("192.0.2.%d", i), credentials(fmt.Sprintf("user%d@acme.test", i), "a guess"))
		}
		decided(t, 5, answers)
		if n := s.db.Client.Throttle.Query().CountX(principal.System(t.Context(), "test")); n != 6 {
			t.Errorf("%d rows: an address that waits counts against accounts", n)
		}
		// It also waits before it may register.
		s.expect(http.StatusTooManyRequests, s.call("POST", "/api/v1/auth/register", "", credentials("ada@acme.test", "fifteen letters")))
		proxied := startAt(t, opts, still(), few, behindProxy)
		for i := range 5 {
			proxied.expect(http.StatusUnauthorized, proxied.from(fmt.Sprintf("2001:db8::%d", i), credentials(fmt.Sprintf("six%d@acme.test", i), "a guess")))
		}
		proxied.expect(http.StatusTooManyRequests, proxied.from("2001:db8::ffff", credentials("six@acme.test", "a guess")))
		proxied.expect(http.StatusUnauthorized, proxied.from("2001:db8:1::1", credentials("six@acme.test", "a guess")))
	})
}

func TestWait_grows_to_a_minute_and_success_ends_it(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := still()
		s := startAt(t, opts, clock)
		wrong := credentials(ownerEmail, "wrong password")
		for range 9 {
			s.expect(http.StatusUnauthorized, s.from("", wrong))
		}
		for i, want := range []string{"1", "2", "4", "8", "16", "32", "60", "60"} {
			s.expect(http.StatusUnauthorized, s.from("", wrong))
			a := s.expect(http.StatusTooManyRequests, s.from("", credentials(ownerEmail, ownerPassword)))
			if got := a.header.Get("Retry-After"); got != want {
				t.Errorf("wait %d: %s s, want %s", i, got, want)
			}
			if got := a.field(t, "code"); got != "too_many_attempts" {
				t.Errorf("code %q", got)
			}
			s.waited()
		}
		s.expect(http.StatusOK, s.from("", credentials(ownerEmail, ownerPassword)))
		for range 10 {
			s.expect(http.StatusUnauthorized, s.from("", wrong))
		}
		s.expect(http.StatusTooManyRequests, s.from("", wrong))

		// What waits is not forgotten: the address, the account, the known network and its attempts.
		ctx := principal.System(t.Context(), "test")
		if err := s.server.Limiter.DeleteExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := s.db.Client.Throttle.Query().CountX(ctx); n != 4 {
			t.Errorf("%d rows are left", n)
		}

		// An hour after the last attempt nothing is left of them.
		s.waited()
		s.db.Client.Throttle.Update().SetExpiresAt(clock().UnixMilli()).ExecX(ctx)
		for range 10 {
			s.expect(http.StatusUnauthorized, s.from("", wrong))
		}
	})
}

func TestOwner_getsInFromAKnownNetworkDuringAnAttack(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := still()
		s, other := startAt(t, opts, clock, behindProxy), startAt(t, opts, clock, behindProxy)
		owner := credentials(ownerEmail, ownerPassword)
		s.expect(http.StatusOK, s.from("203.0.113.7", owner))
		attacking, stop := context.WithCancel(t.Context())
		var attack sync.WaitGroup
		begun := make(chan struct{})
		attack.Go(func() {
			for i := 0; attacking.Err() == nil; i++ {
				other.from(fmt.Sprintf("192.0.2.%d", i%200), credentials(ownerEmail, "a guess"))
				if i == 12 {
					close(begun)
				}
			}
		})
		<-begun
		s.expect(http.StatusTooManyRequests, s.from("198.51.100.1", owner))
		for range 5 {
			s.expect(http.StatusOK, s.from("203.0.113.7", owner))
		}
		stop()
		attack.Wait()
		// The successes have reset the failures of strangers, who use the attempts up again.
		for i := range 20 {
			s.from(fmt.Sprintf("192.0.2.%d", i), credentials(ownerEmail, "a guess"))
		}
		// A known network has ten attempts that need not wait, whose failures look like those of a stranger.
		for range 10 {
			s.expect(http.StatusTooManyRequests, s.from("203.0.113.7", credentials(ownerEmail, "a guess")))
		}
		s.expect(http.StatusTooManyRequests, s.from("203.0.113.7", owner))
	})
}

func TestChange_of_password_is_no_way_to_guess_it(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := still()
		s := startAt(t, opts, clock)
		access, _ := s.login()
		guess := map[string]string{"current_password": "a guess", "new_password": "another horse, another battery"}
		for range 10 {
			s.expect(http.StatusUnprocessableEntity, s.call("POST", "/api/v1/auth/password", access, guess))
		}
		s.expect(http.StatusTooManyRequests, s.call("POST", "/api/v1/auth/password", access, guess))
		rows := s.db.Client.Throttle.Query().Where(throttle.BlockedUntilGT(clock().UnixMilli())).CountX(principal.System(t.Context(), "test"))
		if rows != 1 {
			t.Errorf("%d have to wait", rows)
		}
	})
}

// ASVS 6.3.8: a client that shares a network with a user does not learn from waits, or from the
// statements of a request, that the account exists.
func TestWaits_are_alike_for_accounts_that_do_not_exist(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := startAt(t, opts, still(), behindProxy)
		s.expect(http.StatusOK, s.from("203.0.113.7", credentials(ownerEmail, ownerPassword)))
		for _, email := range []string{ownerEmail, "nobody@acme.test", "not an address"} {
			var got []int
			for i := range 12 {
				got = append(got, s.from(fmt.Sprintf("192.0.2.%d", i), credentials(email, "a guess")).status)
			}
			shared := s.from("203.0.113.7", credentials(strings.ToUpper(email), "a guess"))
			want := "4"
			if email == "not an address" {
				want = "3" // it is looked up nowhere, as every client knows
			}
			if n := shared.statements(t); n != want {
				t.Errorf("%s: %s statements", email, n)
			}
			got = append(got, shared.status)
			if fmt.Sprint(got) != "[401 401 401 401 401 401 401 401 401 401 429 429 429]" {
				t.Errorf("%s: %v", email, got)
			}
		}
	})
}

func TestStrangers_do_not_keep_anybody_from_changing_the_password(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := startAt(t, opts, still(), behindProxy)
		access, _ := s.login()
		for i := range 12 {
			s.from(fmt.Sprintf("192.0.2.%d", i), credentials(ownerEmail, "a guess"))
		}
		s.expect(http.StatusTooManyRequests, s.from("198.51.100.1", credentials(ownerEmail, ownerPassword)))
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/password", access,
			map[string]string{"current_password": ownerPassword, "new_password": "another horse, another battery"}))
		// The right password has reset the failures of the account.
		s.expect(http.StatusOK, s.from("198.51.100.1", credentials(ownerEmail, "another horse, another battery")))
	})
}

// Whoever hangs up before the answer has not failed.
func TestRight_password_of_an_impatient_client_is_no_failure(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := startAt(t, opts, still())
		body, err := json.Marshal(credentials(ownerEmail, ownerPassword))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 15 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(5+5*i)*time.Millisecond)
			r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/v1/auth/login", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if answered, err := http.DefaultClient.Do(r); err == nil {
				answered.Body.Close()
			}
			cancel()
		}
		s.login()
	})
}

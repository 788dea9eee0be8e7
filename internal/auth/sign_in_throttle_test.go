package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent/throttle"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// from signs in from the address of a client, which a trusted proxy has forwarded.
func from(s *apitest.Instance, ip string, body map[string]string) apitest.Answer {
	s.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.Context(), "POST", s.URL+"/api/v1/auth/login",
		strings.NewReader(string(encoded)))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if ip != "" {
		r.Header.Set("X-Forwarded-For", ip)
	}
	return s.Send(r)
}

// waited ends every wait.
func waited(s *apitest.Instance) {
	s.DB.Client.Throttle.Update().SetBlockedUntil(0).ExecX(principal.System(s.Context(), "test"))
}

// decided fails the test unless the password was compared for want answers, and the others have to
// wait. On a machine that is too busy to compare all of them, an answer may be a 503 instead.
func decided(t *testing.T, want int, answers []apitest.Answer) {
	t.Helper()
	n, busy := 0, 0
	for _, a := range answers {
		switch {
		case a.Status == http.StatusUnauthorized:
			n++
		case a.Header.Get("Retry-After") == "":
			t.Errorf("%d without Retry-After: %s", a.Status, a.Body)
		case a.Status == http.StatusServiceUnavailable:
			busy++
		case a.Status != http.StatusTooManyRequests:
			t.Errorf("%d: %s", a.Status, a.Body)
		}
	}
	if n > want || n+busy < want {
		t.Errorf("%d guesses were decided, want %d", n, want)
	}
}

func TestThrottle_parallelGuessesAreCountedBeforeHashing(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock().Now
		instances := []*apitest.Instance{apitest.StartAt(t, opts, clock, apitest.BehindProxy),
			apitest.StartAt(t, opts, clock, apitest.BehindProxy)}
		guess := func(of string, each func(i int) (ip, email string)) {
			t.Helper()
			answers := make([]apitest.Answer, 60)
			var wait sync.WaitGroup
			for i := range answers {
				ip, email := each(i)
				wait.Go(func() { answers[i] = from(instances[i%2], ip, apitest.Credentials(email, "wrong "+of)) })
			}
			wait.Wait()
			decided(t, 10, answers)
		}
		spellings := []string{apitest.OwnerEmail, strings.ToUpper(apitest.OwnerEmail), "Owner@acme.test"}
		guess("account", func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), spellings[i%3] })
		guess("nobody", func(i int) (string, string) { return fmt.Sprintf("198.51.100.%d", i), "nobody@acme.test" })
	})
}

func TestThrottle_untrustedForwardedAddressIsIgnored(t *testing.T) {
	t.Parallel()
	few := func(c *config.Config) { c.SignInAddressAttempts = 5 }
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.StartAt(t, opts, apitest.NewClock().Now, few)
		answers := make([]apitest.Answer, 20)
		for i := range answers {
			// No trusted proxy is configured.
			answers[i] = from(s, fmt.Sprintf("192.0.2.%d", i), apitest.Credentials(fmt.Sprintf("user%d@acme.test", i),
				"a guess"))
		}
		decided(t, 5, answers)
		if n := s.DB.Client.Throttle.Query().CountX(principal.System(t.Context(), "test")); n != 6 {
			t.Errorf("%d rows: an address that waits counts against accounts", n)
		}
		// It also waits before it may register.
		s.Expect(http.StatusTooManyRequests,
			s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials("ada@acme.test", "fifteen letters")))
		proxied := apitest.StartAt(t, opts, apitest.NewClock().Now, few, apitest.BehindProxy)
		for i := range 5 {
			proxied.Expect(http.StatusUnauthorized, from(proxied, fmt.Sprintf("2001:db8::%d", i),
				apitest.Credentials(fmt.Sprintf("six%d@acme.test", i), "a guess")))
		}
		proxied.Expect(http.StatusTooManyRequests,
			from(proxied, "2001:db8::ffff", apitest.Credentials("six@acme.test", "a guess")))
		proxied.Expect(http.StatusUnauthorized,
			from(proxied, "2001:db8:1::1", apitest.Credentials("six@acme.test", "a guess")))
	})
}

func TestThrottle_waitGrowsToAMinuteAndEndsWithSuccess(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock().Now
		s := apitest.StartAt(t, opts, clock)
		wrong := apitest.Credentials(apitest.OwnerEmail, "wrong password")
		for range 9 {
			s.Expect(http.StatusUnauthorized, from(s, "", wrong))
		}
		for i, want := range []string{"1", "2", "4", "8", "16", "32", "60", "60"} {
			s.Expect(http.StatusUnauthorized, from(s, "", wrong))
			a := s.Expect(http.StatusTooManyRequests,
				from(s, "", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
			if got := a.Header.Get("Retry-After"); got != want {
				t.Errorf("wait %d: %s s, want %s", i, got, want)
			}
			if got := a.Field(t, "code"); got != "too_many_attempts" {
				t.Errorf("code %q", got)
			}
			waited(s)
		}
		s.Expect(http.StatusOK, from(s, "", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
		for range 10 {
			s.Expect(http.StatusUnauthorized, from(s, "", wrong))
		}
		s.Expect(http.StatusTooManyRequests, from(s, "", wrong))

		// What waits is not forgotten: the address, the account, the known network and its
		// attempts.
		ctx := principal.System(t.Context(), "test")
		if err := s.Server.Limiter.DeleteExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := s.DB.Client.Throttle.Query().CountX(ctx); n != 4 {
			t.Errorf("%d rows are left", n)
		}

		// An hour after the last attempt nothing is left of them.
		waited(s)
		s.DB.Client.Throttle.Update().SetExpiresAt(clock().UnixMilli()).ExecX(ctx)
		for range 10 {
			s.Expect(http.StatusUnauthorized, from(s, "", wrong))
		}
	})
}

func TestThrottle_knownNetworkSignsInDuringAnAttack(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock().Now
		s, other := apitest.StartAt(t, opts, clock, apitest.BehindProxy),
			apitest.StartAt(t, opts, clock, apitest.BehindProxy)
		owner := apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)
		s.Expect(http.StatusOK, from(s, "203.0.113.7", owner))
		attacking, stop := context.WithCancel(t.Context())
		var attack sync.WaitGroup
		begun := make(chan struct{})
		attack.Go(func() {
			for i := 0; attacking.Err() == nil; i++ {
				from(other, fmt.Sprintf("192.0.2.%d", i%200), apitest.Credentials(apitest.OwnerEmail, "a guess"))
				if i == 12 {
					close(begun)
				}
			}
		})
		<-begun
		s.Expect(http.StatusTooManyRequests, from(s, "198.51.100.1", owner))
		for range 5 {
			s.Expect(http.StatusOK, from(s, "203.0.113.7", owner))
		}
		stop()
		attack.Wait()
		// The successes have reset the failures of strangers, who use the attempts up again.
		for i := range 20 {
			from(s, fmt.Sprintf("192.0.2.%d", i), apitest.Credentials(apitest.OwnerEmail, "a guess"))
		}
		// A known network has ten attempts that need not wait, whose failures look like those of a
		// stranger.
		for range 10 {
			s.Expect(http.StatusTooManyRequests,
				from(s, "203.0.113.7", apitest.Credentials(apitest.OwnerEmail, "a guess")))
		}
		s.Expect(http.StatusTooManyRequests, from(s, "203.0.113.7", owner))
	})
}

func TestThrottle_countsGuessesOfPasswordChanges(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock().Now
		s := apitest.StartAt(t, opts, clock)
		access, _ := s.Login()
		guess := map[string]string{"current_password": "a guess", "new_password": "another horse, another battery"}
		for range 10 {
			s.Expect(http.StatusUnprocessableEntity, s.Call("POST", "/api/v1/auth/password", access, guess))
		}
		s.Expect(http.StatusTooManyRequests, s.Call("POST", "/api/v1/auth/password", access, guess))
		rows := s.DB.Client.Throttle.Query().Where(throttle.BlockedUntilGT(clock().UnixMilli())).
			CountX(principal.System(t.Context(), "test"))
		if rows != 1 {
			t.Errorf("%d have to wait", rows)
		}
	})
}

// ASVS 6.3.8: a client that shares a network with a user does not learn from waits, or from the
// statements of a request, that the account exists.
func TestThrottle_unknownAccountsWaitLikeOthers(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.StartAt(t, opts, apitest.NewClock().Now, apitest.BehindProxy)
		s.Expect(http.StatusOK, from(s, "203.0.113.7", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
		for _, email := range []string{apitest.OwnerEmail, "nobody@acme.test", "not an address"} {
			var got []int
			for i := range 12 {
				got = append(got, from(s, fmt.Sprintf("192.0.2.%d", i), apitest.Credentials(email, "a guess")).Status)
			}
			shared := from(s, "203.0.113.7", apitest.Credentials(strings.ToUpper(email), "a guess"))
			want := "4"
			if email == "not an address" {
				want = "3" // it is looked up nowhere, as every client knows
			}
			if n := shared.Statements(t); n != want {
				t.Errorf("%s: %s statements", email, n)
			}
			got = append(got, shared.Status)
			if fmt.Sprint(got) != "[401 401 401 401 401 401 401 401 401 401 429 429 429]" {
				t.Errorf("%s: %v", email, got)
			}
		}
	})
}

func TestThrottle_foreignGuessesDoNotBlockPasswordChanges(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.StartAt(t, opts, apitest.NewClock().Now, apitest.BehindProxy)
		access, _ := s.Login()
		for i := range 12 {
			from(s, fmt.Sprintf("192.0.2.%d", i), apitest.Credentials(apitest.OwnerEmail, "a guess"))
		}
		s.Expect(http.StatusTooManyRequests,
			from(s, "198.51.100.1", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/password", access,
			map[string]string{"current_password": apitest.OwnerPassword,
				"new_password": "another horse, another battery"}))
		// The right password has reset the failures of the account.
		s.Expect(http.StatusOK, from(s, "198.51.100.1",
			apitest.Credentials(apitest.OwnerEmail, "another horse, another battery")))
	})
}

// A client that closes the connection before the answer has not failed.
func TestThrottle_abortedRequestOfTheRightPasswordIsNotCounted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.StartAt(t, opts, apitest.NewClock().Now)
		body, err := json.Marshal(apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 15 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(5+5*i)*time.Millisecond)
			r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/api/v1/auth/login", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if answered, err := http.DefaultClient.Do(r); err == nil {
				answered.Body.Close()
			}
			cancel()
		}
		s.Login()
	})
}

package server_test

import (
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

// evaluated counts the answers that were a decision on the password, and fails for any that was neither that nor a wait.
func evaluated(t *testing.T, answers []answer) (n int) {
	t.Helper()
	for _, a := range answers {
		switch {
		case a.status == http.StatusUnauthorized:
			n++
		case a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "":
			t.Errorf("%d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.body)
		}
	}
	return n
}

func TestGuesses_in_parallel_over_two_instances_are_counted_before_they_are_hashed(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		instances := []*instance{start(t, opts, behindProxy), start(t, opts, behindProxy)}
		guess := func(of string, each func(i int) (ip, email string)) int {
			t.Helper()
			answers := make([]answer, 60)
			var wait sync.WaitGroup
			for i := range answers {
				ip, email := each(i)
				wait.Go(func() { answers[i] = instances[i%2].from(ip, credentials(email, "wrong "+of)) })
			}
			wait.Wait()
			return evaluated(t, answers)
		}
		spellings := []string{ownerEmail, strings.ToUpper(ownerEmail), "Owner@acme.test"}
		if n := guess("account", func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), spellings[i%3] }); n != 10 {
			t.Errorf("%d guesses at one account were decided", n)
		}
		if n := guess("nobody", func(i int) (string, string) { return fmt.Sprintf("198.51.100.%d", i), "nobody@acme.test" }); n != 10 {
			t.Errorf("%d guesses at an account that does not exist were decided", n)
		}
	})
}

func TestGuesses_from_one_address_are_counted_whatever_it_says_of_itself(t *testing.T) {
	t.Parallel()
	few := func(c *config.Config) { c.SignInAddressAttempts = 5 }
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, few)
		answers := make([]answer, 20)
		for i := range answers {
			// Nobody is a trusted proxy here.
			answers[i] = s.from(fmt.Sprintf("192.0.2.%d", i), credentials(fmt.Sprintf("user%d@acme.test", i), "a guess"))
		}
		if n := evaluated(t, answers); n != 5 {
			t.Errorf("%d were decided", n)
		}
		if n := s.db.Client.Throttle.Query().CountX(principal.System(t.Context(), "test")); n != 6 {
			t.Errorf("%d rows: an address that waits counts against accounts", n)
		}
		// It also waits before it may register.
		s.expect(http.StatusTooManyRequests, s.call("POST", "/api/v1/auth/register", "", credentials("ada@acme.test", "fifteen letters")))
		proxied := start(t, opts, few, behindProxy)
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
		now := time.Now().UTC()
		s := startAt(t, opts, func() time.Time { return now })
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

		// A success is forgotten whole, and what waits is not.
		ctx := principal.System(t.Context(), "test")
		if err := s.server.Auth.ForgetAttempts(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := s.db.Client.Throttle.Query().CountX(ctx); n != 2 {
			t.Errorf("%d rows are left", n)
		}

		// An hour after the last attempt nothing is left of them.
		s.waited()
		s.db.Client.Throttle.Update().SetExpiresAt(time.Now().UnixMilli()).ExecX(ctx)
		for range 10 {
			s.expect(http.StatusUnauthorized, s.from("", wrong))
		}
	})
}

func TestOwner_gets_in_from_a_known_address_while_strangers_guess(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, behindProxy)
		s.expect(http.StatusOK, s.from("203.0.113.7", credentials(ownerEmail, ownerPassword)))
		for i := range 11 {
			s.from(fmt.Sprintf("192.0.2.%d", i), credentials(ownerEmail, "a guess"))
		}
		s.expect(http.StatusTooManyRequests, s.from("198.51.100.1", credentials(ownerEmail, ownerPassword)))
		s.expect(http.StatusOK, s.from("203.0.113.7", credentials(ownerEmail, ownerPassword)))
		// What is known is no free pass.
		answers := make([]answer, 20)
		for i := range answers {
			answers[i] = s.from("203.0.113.7", credentials(ownerEmail, "a guess"))
		}
		if n := evaluated(t, answers); n != 10 {
			t.Errorf("%d guesses from a known address were decided", n)
		}
	})
}

func TestChange_of_password_is_no_way_to_guess_it(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		guess := map[string]string{"current_password": "a guess", "new_password": "another horse, another battery"}
		for range 10 {
			s.expect(http.StatusUnprocessableEntity, s.call("POST", "/api/v1/auth/password", access, guess))
		}
		s.expect(http.StatusTooManyRequests, s.call("POST", "/api/v1/auth/password", access, guess))
		rows := s.db.Client.Throttle.Query().Where(throttle.BlockedUntilGT(time.Now().UnixMilli())).CountX(principal.System(t.Context(), "test"))
		if rows != 1 {
			t.Errorf("%d have to wait", rows)
		}
	})
}

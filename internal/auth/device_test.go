package auth_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// P-12: during an attack, also from the owner's own network, the right password is accepted from a
// device on which the account has signed in. The device token is of no use for other accounts.
// attack makes guesses from 101 addresses until stop is called. It returns after 60 guesses.
func attack(t *testing.T, guess func(ip string)) (stop func()) {
	attacking, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	begun := make(chan struct{})
	attack.Go(func() {
		for i := 0; attacking.Err() == nil; i++ {
			ip := "198.51.100.1"
			if i%2 == 0 {
				ip = fmt.Sprintf("192.0.2.%d", i%200)
			}
			guess(ip)
			if i == 60 {
				close(begun)
			}
		}
	})
	<-begun
	return func() { cancel(); attack.Wait() }
}

func TestThrottle_knownDeviceSignsInDuringAnAttack(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock, few := apitest.NewClock().Now, func(c *config.Config) { c.SignInAddressAttempts = 20 }
		s, other := apitest.StartAt(t, opts, clock, apitest.BehindProxy, few),
			apitest.StartAt(t, opts, clock, apitest.BehindProxy, few)
		s.CreateUser("acme", "mallory@acme.test", "member")
		with := func(email, password, device string) map[string]string {
			body := maps.Clone(apitest.Credentials(email, password))
			body["device_token"] = device
			return body
		}
		device := s.Expect(http.StatusOK,
			from(s, "203.0.113.7", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword))).Field(t,
			"device_token")
		others := s.Expect(http.StatusOK,
			from(s, "203.0.113.9", apitest.Credentials("mallory@acme.test", apitest.OwnerPassword))).Field(t,
			"device_token")
		stop := attack(t, func(ip string) { from(other, ip, with(apitest.OwnerEmail, "a guess", others)) })
		const blocked = "198.51.100.1" // the network of an attacker, which has to wait
		for range 5 {
			a := s.Expect(http.StatusOK, from(s, blocked, with(apitest.OwnerEmail, apitest.OwnerPassword, device)))
			if n := a.Statements(t); n != "4" {
				t.Errorf("%s statements", n)
			}
			device = a.Field(t, "device_token")
		}
		exhaust := func() { // spends the attempts that a success has reset
			for i := range 20 {
				from(s, fmt.Sprintf("192.0.2.%d", i), apitest.Credentials(apitest.OwnerEmail, "a guess"))
			}
		}
		exhaust()
		for name, token := range map[string]string{"none": "", "another account's": others, "a forged one": "_" +
			device[1:]} {
			if a := from(s, blocked, with(apitest.OwnerEmail, apitest.OwnerPassword,
				token)); a.Status != http.StatusTooManyRequests {
				t.Errorf("with %s: %d", name, a.Status)
			}
		}
		// A device token is no credential, and allows no further guesses.
		for range 10 {
			s.Expect(http.StatusUnauthorized, from(s, blocked, with(apitest.OwnerEmail, "a guess", device)))
		}
		s.Expect(http.StatusTooManyRequests,
			from(s, blocked, with(apitest.OwnerEmail, apitest.OwnerPassword, device)))
		waited(s)
		s.Expect(http.StatusOK, from(s, "203.0.113.50", with(apitest.OwnerEmail, apitest.OwnerPassword, device)))
		stop()
		exhaust()
		// A token that is older than the password is ignored.
		s.DB.Client.User.UpdateOne(s.Owner()).AddPasswordVersion(1).ExecX(principal.System(t.Context(), "test"))
		s.Expect(http.StatusTooManyRequests,
			from(s, "203.0.113.60", with(apitest.OwnerEmail, apitest.OwnerPassword, device)))
		s.Expect(http.StatusOK, from(s, "203.0.113.7", with(apitest.OwnerEmail, apitest.OwnerPassword, device)))
	})
}

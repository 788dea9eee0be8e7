package server_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// P-12: during an attack, also from the owner's own network, the right password is accepted from a
// device in which the account has signed in, and its token helps nobody else.
func TestOwner_getsInFromAKnownDeviceDuringAnAttack(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock, few := still(), func(c *config.Config) { c.SignInAddressAttempts = 20 }
		s, other := startAt(t, opts, clock, behindProxy, few), startAt(t, opts, clock, behindProxy, few)
		s.join("acme", "mallory@acme.test", "member")
		with := func(email, password, device string) map[string]string {
			body := maps.Clone(credentials(email, password))
			body["device_token"] = device
			return body
		}
		device := s.expect(http.StatusOK, s.from("203.0.113.7", credentials(ownerEmail, ownerPassword))).field(t, "device_token")
		others := s.expect(http.StatusOK, s.from("203.0.113.9", credentials("mallory@acme.test", ownerPassword))).field(t, "device_token")
		attacking, stop := context.WithCancel(t.Context())
		var attack sync.WaitGroup
		begun := make(chan struct{})
		attack.Go(func() {
			for i := 0; attacking.Err() == nil; i++ {
				ip := "198.51.100.1"
				if i%2 == 0 {
					ip = fmt.Sprintf("192.0.2.%d", i%200)
				}
				other.from(ip, with(ownerEmail, "a guess", others))
				if i == 60 {
					close(begun)
				}
			}
		})
		<-begun
		const elsewhere = "198.51.100.1" // an attacker is in the network as well, which has to wait
		for range 5 {
			a := s.expect(http.StatusOK, s.from(elsewhere, with(ownerEmail, ownerPassword, device)))
			if n := a.statements(t); n != "4" {
				t.Errorf("%s statements", n)
			}
			device = a.field(t, "device_token")
		}
		exhaust := func() { // what a success has reset
			for i := range 20 {
				s.from(fmt.Sprintf("192.0.2.%d", i), credentials(ownerEmail, "a guess"))
			}
		}
		exhaust()
		for name, token := range map[string]string{"none": "", "another account's": others, "a forged one": "_" + device[1:]} {
			if a := s.from(elsewhere, with(ownerEmail, ownerPassword, token)); a.status != http.StatusTooManyRequests {
				t.Errorf("with %s: %d", name, a.status)
			}
		}
		// It is no credential, and no way to guess.
		for range 10 {
			s.expect(http.StatusUnauthorized, s.from(elsewhere, with(ownerEmail, "a guess", device)))
		}
		s.expect(http.StatusTooManyRequests, s.from(elsewhere, with(ownerEmail, ownerPassword, device)))
		s.waited()
		s.expect(http.StatusOK, s.from("203.0.113.50", with(ownerEmail, ownerPassword, device)))
		stop()
		attack.Wait()
		exhaust()
		// A token that is older than the password is ignored.
		s.db.Client.User.UpdateOne(s.owner()).AddPasswordVersion(1).ExecX(principal.System(t.Context(), "test"))
		s.expect(http.StatusTooManyRequests, s.from("203.0.113.60", with(ownerEmail, ownerPassword, device)))
		s.expect(http.StatusOK, s.from("203.0.113.7", with(ownerEmail, ownerPassword, device)))
	})
}

package server_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// evaluated returns how many of the answers tell that the password was compared.
func evaluated(answers []answer) (n int) {
	for _, a := range answers {
		if a.status == http.StatusUnauthorized || a.status == http.StatusUnprocessableEntity {
			n++
		}
	}
	return n
}

// Networks from which other users of the tenant have signed in give nobody further guesses at an
// account, over two instances and in parallel.
func TestGuesses_fromNetworksOfOtherUsersShareOneCount(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := still()
		instances := []*instance{startAt(t, opts, clock, behindProxy), startAt(t, opts, clock, behindProxy)}
		instances[0].join("acme", "mallory@acme.test", "member")
		networks := make([]string, 20)
		for i := range networks {
			networks[i] = fmt.Sprintf("192.0.2.%d", i)
			instances[0].expect(http.StatusOK, instances[0].from(networks[i], credentials("mallory@acme.test", ownerPassword)))
		}
		answers := make([]answer, 260)
		for first := 0; first < len(answers); first += 20 {
			var wait sync.WaitGroup
			for i, ip := range networks {
				wait.Go(func() { answers[first+i] = instances[i%2].from(ip, credentials(ownerEmail, "a guess")) })
			}
			wait.Wait()
		}
		if n := evaluated(answers); n > 10 {
			t.Errorf("%d of %d guesses were evaluated, want 10", n, len(answers))
		}
	})
}

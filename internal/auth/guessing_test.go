package auth_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// evaluated returns the number of answers for which the password was compared.
func evaluated(answers []apitest.Answer) (n int) {
	for _, a := range answers {
		if a.Status == http.StatusUnauthorized || a.Status == http.StatusUnprocessableEntity {
			n++
		}
	}
	return n
}

// Networks from which other users of the tenant have signed in allow no further guesses at an
// account, over two instances and in parallel.
func TestThrottle_networksOfOtherUsersShareOneCount(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock().Now
		instances := []*apitest.Instance{apitest.StartAt(t, opts, clock, apitest.BehindProxy),
			apitest.StartAt(t, opts, clock, apitest.BehindProxy)}
		instances[0].CreateUser("acme", "mallory@acme.test", "member")
		networks := make([]string, 20)
		for i := range networks {
			networks[i] = fmt.Sprintf("192.0.2.%d", i)
			instances[0].Expect(http.StatusOK,
				from(instances[0], networks[i], apitest.Credentials("mallory@acme.test", apitest.OwnerPassword)))
		}
		answers := make([]apitest.Answer, 260)
		for first := 0; first < len(answers); first += 20 {
			var wait sync.WaitGroup
			for i, ip := range networks {
				wait.Go(func() {
					answers[first+i] = from(instances[i%2], ip, apitest.Credentials(apitest.OwnerEmail, "a guess"))
				})
			}
			wait.Wait()
		}
		if n := evaluated(answers); n > 10 {
			t.Errorf("%d of %d guesses were evaluated, want 10", n, len(answers))
		}
	})
}

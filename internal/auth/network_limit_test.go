package auth_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// The limits hold for an IPv4 address or an IPv6 /64, over all instances, and for each tenant in
// it. A client that obeys Retry-After is served then.
func TestNetworkLimit_isSharedByTenantsAndInstances(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		limits := func(c *config.Config) { c.NetworkRegistrations = 6 }
		instances := []*apitest.Instance{apitest.StartAt(t, opts, clock.Now, apitest.BehindProxy, limits),
			apitest.StartAt(t, opts, clock.Now, apitest.BehindProxy, limits)}
		register := func(ip, tenant string, i int) apitest.Answer {
			return instances[i%2].CallFrom("POST", "/api/v1/auth/register", ip, map[string]string{
				"tenant": tenant, "email": "new@acme.test", "password": apitest.OwnerPassword,
			})
		}
		expect := func(want int, a apitest.Answer) apitest.Answer { t.Helper(); return instances[0].Expect(want, a) }
		for i := range 3 { // refused for another reason, which counts as well
			expect(http.StatusForbidden, register(fmt.Sprintf("2001:db8::%d", i), "closed", i))
		}
		a := expect(http.StatusTooManyRequests, register("2001:db8::ffff", "closed", 0))
		for i := range 3 {
			expect(http.StatusForbidden, register("2001:db8::1", fmt.Sprintf("other%d", i), i))
		}
		expect(http.StatusTooManyRequests, register("2001:db8::1", "another", 1))
		expect(http.StatusForbidden, register("2001:db8:0:1::1", "closed", 0))
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || seconds != 20*60 {
			t.Errorf("Retry-After is %q, want 20 minutes", a.Header.Get("Retry-After"))
		}
		clock.Advance(time.Duration(seconds) * time.Second)
		expect(http.StatusForbidden, register("2001:db8::1", "closed", 1))
		expect(http.StatusTooManyRequests, register("2001:db8::1", "closed", 0))
		clock.Advance(2 * time.Hour)
		if err := instances[0].Server.Limiter.DeleteExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := instances[0].Rows("throttles"); n != 0 {
			t.Errorf("%d rows are left of limits that are full again", n)
		}
	})
}

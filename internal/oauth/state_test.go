package oauth_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// O-01, O-02, O-05: a state is good once, for ten minutes, in the browser that began, at the
// provider it was made for.
func TestState_consumedOnceInOneBrowserAtOneProvider(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		i := apitest.NewIssuer(t)
		i.Clock = clock.Now
		s := apitest.StartAt(t, opts, clock.Now, i.Configure("corporate"), i.Configure("second"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b, stranger := s.Browser(), s.Browser()
		refused := func(a apitest.Answer) {
			t.Helper()
			if s.Expect(http.StatusBadRequest, a).Field(t, "code") != "invalid_state" {
				t.Errorf("refused with %s", a.Body)
			}
		}
		callback := b.UntilCallback(apitest.AuthorizePath)
		refused(stranger.Visit(callback))
		stranger.UntilCallback(apitest.AuthorizePath)
		refused(stranger.Visit(callback)) // with a cookie of another flow
		refused(b.Visit(strings.Replace(callback, "/corporate/", "/second/", 1)))
		refused(b.Visit(strings.Replace(callback, "state=", "state=x", 1)))
		s.Expect(http.StatusOK, b.Visit(callback)) // none of them has burnt it
		refused(stranger.Visit(callback))
		refused(b.Visit(strings.Replace(callback, "/corporate/", "/second/", 1)))

		clock.Advance(10 * time.Minute)
		late := b.UntilCallback(apitest.AuthorizePath)
		clock.Advance(10*time.Minute - time.Microsecond)
		s.Expect(http.StatusOK, b.Visit(late))
		late = b.UntilCallback(apitest.AuthorizePath)
		clock.Advance(10 * time.Minute)
		refused(b.Visit(late))
	})
}

// O-01: flows in parallel tabs do not meet, and callbacks of one flow at once exchange its code
// once.
func TestState_parallelCallbacksExchangeCodeOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		now := apitest.NewClock().Now
		i := apitest.NewIssuer(t)
		i.Clock = now
		s := apitest.StartAt(t, opts, now, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		first, second := b.UntilCallback(apitest.AuthorizePath), b.UntilCallback(apitest.AuthorizePath)
		s.Expect(http.StatusOK, b.Visit(second))
		s.Expect(http.StatusOK, b.Visit(first))

		// 50 at once: one of them exchanges the code, and there is one session.
		calls, sessions := i.Called("/token"), s.Rows("refresh_tokens")
		callback := b.UntilCallback(apitest.AuthorizePath)
		var statuses sync.Map
		var counting sync.Mutex
		var all sync.WaitGroup
		for range 50 {
			tab := &apitest.Browser{Instance: s}
			tab.Client = &http.Client{Jar: b.Jar, Transport: tab}
			all.Go(func() {
				n, _ := statuses.LoadOrStore(tab.Visit(callback).Status, new(int))
				counting.Lock()
				defer counting.Unlock()
				*n.(*int)++
			})
		}
		all.Wait()
		if n, _ := statuses.Load(http.StatusOK); n == nil || *n.(*int) != 50 || i.Called("/token") != calls+1 ||
			s.Rows("refresh_tokens") != sessions+1 {
			t.Errorf("%d exchanges and %d sessions of 50 callbacks", i.Called("/token")-calls,
				s.Rows("refresh_tokens")-sessions)
		}
	})
}

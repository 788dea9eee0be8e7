package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// flood signs in with a body on many connections at once, again and again, each time from another
// network, until the test calls stop, which returns how many answers had each status.
func flood(s *apitest.Instance, connections int, body map[string]string) (stop func() map[int]int) {
	s.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	ctx, cancel := context.WithCancel(s.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	var refused, networks atomic.Int64
	begun := make(chan struct{})
	post := func() int {
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/api/v1/auth/login", bytes.NewReader(encoded))
		if err != nil {
			return 0
		}
		r.Header.Set("Content-Type", "application/json")
		n := networks.Add(1)
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("203.%d.%d.1", n>>8&255, n&255))
		response, err := client.Do(r)
		if err != nil {
			return 0
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	for range connections {
		all.Go(func() {
			for ctx.Err() == nil {
				status := post()
				mu.Lock()
				statuses[status]++
				mu.Unlock()
				if status == http.StatusServiceUnavailable && refused.Add(1) == 10 {
					close(begun)
				}
			}
		})
	}
	<-begun // the queue is full
	return func() map[int]int {
		cancel()
		all.Wait()
		client.CloseIdleConnections()
		delete(statuses, 0)
		return statuses
	}
}

// oneHash lets the server compute one hash at a time.
func oneHash(c *config.Config) { c.PasswordHashConcurrency = 1 }

// T-13: a tenant whose sign-ins fill the queue of password hashes takes no sign-in from another.
func TestFlood_ofOneTenantStopsNoSignInOfAnother(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("occupies the processor")
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, oneHash, apitest.ProductionHashes)
		s.CreateTenant("other")
		s.CreateUser("other", "ada@other.test", "owner")
		stop := flood(s, 180, apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword))
		errors := 0
		for range 10 {
			a := s.Call("POST", "/api/v1/auth/login", "",
				map[string]string{"tenant": "other", "email": "ada@other.test", "password": apitest.OwnerPassword})
			if a.Status != http.StatusOK {
				errors++
			}
		}
		statuses := stop()
		if errors > 0 {
			t.Errorf("%d of 10 sign-ins of the other tenant failed", errors)
		}
		for status, n := range statuses {
			if status != http.StatusOK && status != http.StatusServiceUnavailable {
				t.Errorf("%d answers of the flood have status %d", n, status)
			}
		}
	})
}

// P-12: a flood of one account, from any number of networks, does not keep its owner out, who is
// known by the network or by the device.
func TestFlood_ofOneAccountDoesNotStopItsOwner(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("occupies the processor")
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, apitest.BehindProxy, oneHash, apitest.ProductionHashes)
		right := apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)
		const known, unknown = "192.0.2.7", "198.51.100.9"
		device := s.Expect(http.StatusOK, from(s, known, right)).Field(t, "device_token")
		stop := flood(s, 180, apitest.Credentials(apitest.OwnerEmail, "another password than the owner's"))
		for range 3 {
			s.Expect(http.StatusOK, from(s, known, right))
			withDevice := maps.Clone(right)
			withDevice["device_token"] = device
			s.Expect(http.StatusOK, from(s, unknown, withDevice))
		}
		for status, n := range stop() {
			if status != http.StatusUnauthorized && status != http.StatusTooManyRequests &&
				status != http.StatusServiceUnavailable {
				t.Errorf("%d answers of the flood have status %d", n, status)
			}
		}
	})
}

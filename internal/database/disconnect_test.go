package database_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

// Clients that disconnect during requests must not close connections of the pool: lib/pq closes a
// connection whose statement is interrupted.
func TestPool_disconnectedClientsCloseNoConnections(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.Postgres(t), func(c *config.Config) {
		c.ServerTiming = false
		c.CacheMemory = 0 // each request reads the database
	})
	access, _ := s.Login()
	request := "GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + access + "\r\n\r\n"
	var rude sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for range 64 {
		rude.Go(func() {
			for time.Now().Before(end) {
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = fmt.Fprint(conn, request)
				time.Sleep(rand.N(3 * time.Millisecond))
				_ = conn.Close()
			}
		})
	}
	rude.Wait()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	if served := strings.Count(s.Logs.String(), `"path":"/api/v1/users/me"`); served < 500 {
		t.Errorf("%d requests only", served)
	}
	time.Sleep(2 * time.Second) // Postgres counts with a delay
	var opened int
	if err := s.DB.SQL.QueryRowContext(t.Context(),
		"SELECT sessions FROM pg_stat_database WHERE datname = current_database()").Scan(&opened); err != nil {
		t.Fatal(err)
	}
	// Every connection that was opened must still be open, except for those of the pooler probe at
	// start and that of the reader of the change log.
	const besides = 3
	if open := s.DB.SQL.Stats().OpenConnections; open < 2 || opened-open > besides+2 {
		t.Errorf("of %d connections %d are open", opened, open)
	}
}

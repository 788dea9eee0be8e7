package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

const (
	sideRounds  = 5
	sideClients = 64
	sideTime    = 700 * time.Millisecond
)

// BenchmarkSideBySide measures requests a second over sockets against a bare gin handler that answers the same body, in turns and in one
// run: what a machine can do drifts, and the ratio does not. The clients send bytes that are made before, and read no more than they must.
func BenchmarkSideBySide(b *testing.B) {
	s := start(b, dbtest.Postgres(b), func(c *config.Config) { c.ServerTiming = false })
	access, _ := s.login()
	body := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil)).body
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", body) })
	bare := httptest.NewServer(engine)
	b.Cleanup(bare.Close)
	deaf := dbtest.Postgres(b)
	deaf.NotifyURL = "postgres://127.0.0.1:1/nobody" // who hears of no changes remembers nothing
	cold := start(b, deaf, func(c *config.Config) { c.ServerTiming = false })
	coldAccess, _ := cold.login()
	sides := []struct {
		name, address, request string
		before                 func()
	}{
		{"bare", bare.URL, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", func() {}},
		{"me", s.url, "GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + access + "\r\n\r\n", func() { s.server.CatchUp() }},
		{"me-cold", cold.url, "GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + coldAccess + "\r\n\r\n", func() {}},
	}
	for b.Loop() {
		rates := map[string][]float64{}
		for range sideRounds {
			for _, side := range sides {
				side.before()
				rates[side.name] = append(rates[side.name], perSecond(b, side.address, side.request))
				s.log.Reset()
				cold.log.Reset()
			}
		}
		for name := range rates {
			slices.Sort(rates[name])
		}
		median := func(name string) float64 { return rates[name][sideRounds/2] }
		b.ReportMetric(median("bare"), "bare/s")
		for _, side := range sides[1:] {
			b.ReportMetric(median(side.name), side.name+"/s")
			b.ReportMetric(median(side.name)/median("bare"), side.name+"-of-bare")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// perSecond returns how many requests are answered with 200 in a second.
func perSecond(b *testing.B, address, request string) float64 {
	b.Helper()
	var answered atomic.Int64
	var clients sync.WaitGroup
	deadline := time.Now().Add(sideTime)
	for range sideClients {
		clients.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", strings.TrimPrefix(address, "http://"))
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for time.Now().Before(deadline) {
				if _, err := io.WriteString(conn, request); err != nil {
					b.Error(err)
					return
				}
				response, err := http.ReadResponse(in, nil)
				if err != nil || response.StatusCode != http.StatusOK {
					b.Errorf("%v, %v", response, err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				answered.Add(1)
			}
		})
	}
	clients.Wait()
	return float64(answered.Load()) / sideTime.Seconds()
}

package server_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"tenantry/internal/apitest"
)

// bare serves one gin handler.
func bare(b *testing.B, method, path string, handle gin.HandlerFunc) (address string) {
	b.Helper()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Handle(method, path, handle)
	web := httptest.NewServer(engine)
	b.Cleanup(web.Close)
	return web.URL
}

// fair serves a gin handler with the deadlines of the server, the headers and the body of a response
// of it, and one JSON log line for each request, in a file.
func fair(b *testing.B, s *apitest.Instance, path string, like apitest.Answer) (address string) {
	b.Helper()
	gin.SetMode(gin.ReleaseMode)
	log := slog.New(slog.NewJSONHandler(apitest.LogFile(b), nil))
	headers := maps.Clone(like.Header)
	for _, own := range []string{"Content-Type", "Content-Length", "Date"} {
		delete(headers, own) // gin and net/http set them
	}
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		began := time.Now()
		for name, values := range headers {
			c.Header(name, values[0])
		}
		c.Next()
		log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request", slog.String("method", c.Request.Method),
			slog.String("path", c.Request.URL.Path), slog.Int("status", c.Writer.Status()),
			slog.Int64("duration_us", time.Since(began).Microseconds()), slog.Int("bytes", c.Writer.Size()),
			slog.String("ip", c.ClientIP()))
	})
	engine.GET(path, func(c *gin.Context) { c.Data(http.StatusOK, "application/json", like.Body) })
	web := httptest.NewUnstartedServer(nil)
	web.Config = s.Server.HTTP(slog.New(slog.DiscardHandler))
	web.Config.Handler = engine
	web.Start()
	b.Cleanup(web.Close)
	return web.URL
}

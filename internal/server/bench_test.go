package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// The handlers without a socket, so that what is measured is ours. BareGin is the floor to compare with, in the same run.

func BenchmarkBareGin(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"email": ownerEmail}) })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}
	})
}

func BenchmarkGetMe(b *testing.B) {
	each(b, func(b *testing.B, opts database.Options) {
		s := quiet(b, opts)
		access, _ := s.login()
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r := httptest.NewRequest("GET", "/api/v1/users/me", nil)
				r.Header.Set("Authorization", "Bearer "+access)
				serve(b, s, r, http.StatusOK)
			}
		})
	})
}

func BenchmarkRefresh(b *testing.B) {
	each(b, func(b *testing.B, opts database.Options) {
		s := quiet(b, opts)
		_, refresh := s.login()
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest("POST", "/api/v1/auth/refresh", strings.NewReader(`{"refresh_token":"`+refresh+`"}`))
			r.Header.Set("Content-Type", "application/json")
			refresh = serve(b, s, r, http.StatusOK).field(b, "refresh_token")
		}
	})
}

func each(b *testing.B, run func(b *testing.B, opts database.Options)) {
	b.Run("sqlite", func(b *testing.B) { run(b, dbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { run(b, dbtest.Postgres(b)) })
}

func serve(b *testing.B, s *instance, r *http.Request, status int) answer {
	w := httptest.NewRecorder()
	s.server.Handler.ServeHTTP(w, r)
	if w.Code != status {
		b.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return answer{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
}

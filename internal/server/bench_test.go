package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
)

// The handlers without a socket, so that what is measured is ours. BareGin is the floor to compare
// with, in the same run.

func BenchmarkBareGin(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"email": apitest.OwnerEmail}) })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}
	})
}

func BenchmarkGetMe(b *testing.B) {
	apitest.EachDatabase(b, func(b *testing.B, opts database.Options) {
		s := apitest.StartQuiet(b, opts)
		access, _ := s.Login()
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r := httptest.NewRequest("GET", "/api/v1/users/me", nil)
				r.Header.Set("Authorization", "Bearer "+access)
				apitest.Serve(b, s, r, http.StatusOK)
			}
		})
	})
}

func BenchmarkRefresh(b *testing.B) {
	apitest.EachDatabase(b, func(b *testing.B, opts database.Options) {
		s := apitest.StartQuiet(b, opts)
		_, refresh := s.Login()
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest("POST", "/api/v1/auth/refresh",
				strings.NewReader(`{"refresh_token":"`+refresh+`"}`))
			r.Header.Set("Content-Type", "application/json")
			refresh = apitest.Serve(b, s, r, http.StatusOK).Field(b, "refresh_token")
		}
	})
}

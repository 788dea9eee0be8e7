package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

// The server serves every file that the page references, with its media type (nosniff), and the
// page references no other host.
func TestReference_needsNoNetwork(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	page := s.Expect(http.StatusOK, s.Call("GET", "/docs", "", nil))
	if media := page.Header.Get("Content-Type"); media != "text/html; charset=utf-8" {
		t.Errorf("/docs is %q", media)
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".json": "application/json"}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllSubmatch(page.Body, -1)
	if len(named) != 4 {
		t.Fatalf("the page names %q", named)
	}
	for _, match := range named {
		at, err := url.Parse(s.URL + "/docs")
		if err != nil {
			t.Fatal(err)
		}
		if at, err = at.Parse(string(match[1])); err != nil {
			t.Fatal(err)
		}
		path := at.Path
		part := s.Expect(http.StatusOK, s.Call("GET", path, "", nil))
		if media := part.Header.Get("Content-Type"); media != kinds[path[strings.LastIndexByte(path, '.'):]] ||
			len(part.Body) < 100 {
			t.Errorf("%s is %q of %d bytes", path, media, len(part.Body))
		}
	}
	for header, value := range map[string]string{"Range": "bytes=999999999-", "If-Match": `"x"`} {
		r := httptest.NewRequest("GET", "/docs/swagger-ui.css", nil)
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		s.Server.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Header().Get("Accept-Ranges") != "" {
			t.Errorf("%s: %d, ranges %q", header, w.Code, w.Header().Get("Accept-Ranges"))
		}
	}
}

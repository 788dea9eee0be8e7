package apitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Metric returns the value of a series of /metrics, or -1.
func Metric(t *testing.T, operations http.Handler, name string) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	operations.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d, %v", w.Code, err)
	}
	match := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(body)
	if match == nil {
		return -1
	}
	value, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Events returns the log lines of a security event.
func (s *Instance) Events(event string) (lines []map[string]any) {
	s.Helper()
	for line := range strings.Lines(s.Logs.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			s.Fatalf("%q: %v", line, err)
		}
		if members["event"] == event {
			lines = append(lines, members)
		}
	}
	return lines
}

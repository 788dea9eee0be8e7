package server

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// MetricNames returns the names of all metrics, also of those without a value.
func (s *Server) MetricNames() (names []string) {
	described := make(chan *prometheus.Desc)
	go func() { defer close(described); s.metrics.registry.Describe(described) }()
	for d := range described {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		names = append(names, name)
	}
	return names
}

// Unforeseen counts an unexpected error, as the renderer does.
func (s *Server) Unforeseen(err error) { s.metrics.unforeseen(err) }

// FollowFraming parses bytes one by one, and returns where requests end, and whether the connection
// is refused.
func FollowFraming(sent string) (ends []int, refused bool) {
	var f framing
	between := true
	for i := range len(sent) {
		if _, err := f.follow([]byte{sent[i]}); err != nil {
			return ends, true
		}
		ended := f.part == requestLine && f.left == 0 && len(f.line) == 0
		if ended && !between {
			ends = append(ends, i+1)
		}
		between = f.part == requestLine && f.left == 0
	}
	return ends, false
}

// RefusesFraming reports whether the connection is refused if the bytes arrive in steps.
func RefusesFraming(sent string, step int) bool {
	var f framing
	for part := range slices.Chunk([]byte(sent), step) {
		if _, err := f.follow(part); err != nil {
			return true
		}
	}
	return false
}

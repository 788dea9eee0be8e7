package server_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tenantry/internal/database/dbtest"
)

// A figure that is renamed is renamed on the dashboard.
func TestDashboard_shows_figures_that_there_are(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../deploy/grafana/tenantry.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	exposed := start(t, dbtest.SQLite(t)).server.MetricNames()
	shown := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b(tenantry|go|process)_[a-z_]+`).FindAllString(string(content), -1) {
		for _, suffix := range []string{"_bucket", "_count"} { // of a histogram
			if base := strings.TrimSuffix(name, suffix); slices.Contains(exposed, base) {
				name = base
			}
		}
		shown[name] = true
		if !slices.Contains(exposed, name) {
			t.Errorf("the dashboard shows %s, which is not there", name)
		}
	}
	for _, name := range exposed {
		if strings.HasPrefix(name, "tenantry_") && !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

package server_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

// The dashboard shows every metric, and no unknown one.
func TestDashboard_metricsExist(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../deploy/grafana/tenantry.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	exposed := apitest.Start(t, dbtest.SQLite(t)).Server.MetricNames()
	shown := figures(t, string(content), exposed)
	for _, name := range exposed {
		if strings.HasPrefix(name, "tenantry_") && !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// The alert rules name existing metrics and operations.
func TestAlerts_metricsAndOperationsExist(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile("(?ms)^```yaml\n(groups:.*?)^```$").FindSubmatch(document)
	if rules == nil {
		t.Fatal("there are no rules")
	}
	exposed := apitest.Start(t, dbtest.SQLite(t)).Server.MetricNames()
	if shown := figures(t, string(rules[1]), exposed); len(shown) < 5 {
		t.Errorf("the rules name %v", shown)
	}
	for _, match := range regexp.MustCompile(`operation="(\w+)"`).FindAllSubmatch(rules[1], -1) {
		if !slices.ContainsFunc(declaredOperations(t), func(o declared) bool {
			return o.OperationID == string(match[1])
		}) {
			t.Errorf("there is no operation %s", match[1])
		}
	}
}

// figures returns the figures that a text names, and fails the test for those that are not exposed.
func figures(t *testing.T, text string, exposed []string) map[string]bool {
	t.Helper()
	shown := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b(tenantry|go|process)_[a-z_]+`).FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_count"} { // of a histogram
			if base := strings.TrimSuffix(name, suffix); slices.Contains(exposed, base) {
				name = base
			}
		}
		shown[name] = true
		if !slices.Contains(exposed, name) {
			t.Errorf("%s is shown, and not exposed", name)
		}
	}
	return shown
}

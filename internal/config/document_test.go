package config_test

import (
	"os"
	"regexp"
	"testing"

	"tenantry/internal/config"
)

var row = regexp.MustCompile("(?m)^\\| `" + config.Prefix + "([A-Z_]+)`( \\*)? \\| ([^|]+) \\|")

// docs/configuration.md has every setting with its default, and no other.
func TestDocument_listsEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(string(document), -1) {
		if _, twice := listed[match[1]]; twice {
			t.Errorf("%s is listed twice", match[1])
		}
		listed[match[1]] = match[3]
	}
	for _, s := range settings {
		standard, found := listed[s.name]
		if !found {
			t.Errorf("%s is not in the document", s.name)
		} else if s.standard != "" && standard != "`"+s.standard+"`" {
			t.Errorf("%s: the document says %s, the default is %q", s.name, standard, s.standard)
		}
		delete(listed, s.name)
	}
	for name := range listed {
		t.Errorf("%s is in the document only", name)
	}
}

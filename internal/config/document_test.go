package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
		standard, ok := listed[s.name]
		if !ok {
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

// other matches variables that are not in settings: those of tests, of the load command and of
// OAuth providers, and those that Kubernetes sets for a service of the product's name.
var other = regexp.MustCompile(`^TEST_|^LOAD_PASSWORD$|^OAUTH_|^SERVICE_HOST$|PORT$`)

// Variables that documents and files of deploy/ name are settings.
func TestDocuments_variablesExist(t *testing.T) {
	t.Parallel()
	var known []string
	for _, s := range settings {
		known = append(known, s.name, s.name+"_FILE")
	}
	name := regexp.MustCompile(config.Prefix + "([A-Z0-9_]+)")
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*", "deploy/*/*"} {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.IsDir() {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range name.FindAllSubmatch(text, -1) {
				if variable := string(match[1]); !slices.Contains(known, variable) && !other.MatchString(variable) {
					t.Errorf("%s: there is no variable %s", file, match[0])
				}
			}
		}
	}
}

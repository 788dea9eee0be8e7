package cli

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"tenantry/internal/config"
)

// composeFile are the members that deploy/compose.yaml may have. Others fail the test.
type composeFile struct {
	Name     string
	Services map[string]composeService
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
}

type composeService struct {
	Image, Restart string
	Build          map[string]string
	PullPolicy     string `yaml:"pull_policy"`
	Command        []string
	Environment    map[string]string
	Secrets        []string
	Volumes, Ports []string
	DependsOn      map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck    struct {
		Test              []string
		Interval, Timeout string
		StartPeriod       string `yaml:"start_period"`
		Retries           int
		Disable           bool
	}
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	f, err := os.Open("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var c composeFile
	strict := yaml.NewDecoder(f)
	strict.KnownFields(true)
	if err := strict.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The image is built once. Services restart, and have a health check without a shell and a
// read-only root.
func TestCompose_buildsOnceAndRestarts(t *testing.T) {
	t.Parallel()
	c := compose(t)
	built := 0
	for name, s := range c.Services {
		if len(s.Build) > 0 {
			built++
		}
		if name != "migrate" && (s.Restart != "unless-stopped" || len(s.Healthcheck.Test) == 0) {
			t.Errorf("%s: restart %q, health check %v", name, s.Restart, s.Healthcheck)
		}
		if test := s.Healthcheck.Test; len(test) > 0 && test[0] != "CMD" {
			t.Errorf("%s: the health check %v needs a shell", name, test)
		}
		if strings.HasPrefix(s.Image, "tenantry") && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"})) {
			t.Errorf("%s may write to its root, or has capabilities", name)
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s", name, other)
			}
		}
	}
	if serve := c.Services["tenantry"]; built != 1 || serve.PullPolicy != "never" ||
		serve.Image != c.Services["migrate"].Image {
		t.Errorf("%d builds; the server has the image %q, %s", built, serve.Image, serve.PullPolicy)
	}
	if test := c.Services["tenantry"].Healthcheck.Test; test[1] != "/tenantry" {
		t.Errorf("the health check is %v", test)
	} else if printed, exit := run(t, append(test[2:], "--help")...); exit != 0 ||
		!strings.Contains(printed, "/readyz") {
		t.Errorf("the health check %v: %s", test, printed)
	}
}

// Secrets are files. Each service reads only the secrets that are mounted into it; the migration
// has only the database URL.
func TestCompose_secretsAreFilesAndSettingsAreValid(t *testing.T) {
	t.Parallel()
	c := compose(t)
	for name, s := range c.Services {
		var environ []string
		for key, value := range s.Environment {
			if path, isFile := strings.CutPrefix(value, "/run/secrets/"); isFile {
				if !strings.HasSuffix(key, "_FILE") || !slices.Contains(s.Secrets, path) ||
					c.Secrets[path].File != "./secrets/"+path {
					t.Errorf("%s reads %s=%s of %v", name, key, value, s.Secrets)
				}
				value = filepath.Join(t.TempDir(), path)
				if err := os.WriteFile(value, []byte("postgres://tenantry:4711@postgres:5432/tenantry?sslmode=disable"),
					0o600); err != nil {
					t.Fatal(err)
				}
			} else if strings.Contains(key, "PASSWORD") || strings.Contains(key, "SECRET") {
				t.Errorf("%s has %s in its environment", name, key)
			}
			if _, standard, ok := strings.Cut(strings.TrimSuffix(value, "}"), ":-"); ok {
				value = standard
			}
			environ = append(environ, key+"="+value)
		}
		if !strings.HasPrefix(s.Image, "tenantry") {
			continue
		}
		load := config.LoadServer
		if name == "migrate" {
			load = config.Load
		}
		flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
		if _, err := load(flags, environ); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if unknown := config.Unknown(environ); len(unknown) > 0 {
			t.Errorf("%s: %v", name, unknown)
		}
	}
	if got := slices.Collect(maps.Keys(c.Services["migrate"].Environment)); !slices.Equal(got,
		[]string{"TENANTRY_DATABASE_URL_FILE"}) {
		t.Errorf("the migration gets %v", got)
	}
	if ignored, err := os.ReadFile("../../.gitignore"); err != nil ||
		!strings.Contains(string(ignored), "/deploy/secrets/") {
		t.Errorf("the secrets may be committed: %s, %v", ignored, err)
	}
}

func TestDockerfile_hasAHealthCheckWithoutAShell(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/Dockerfile")
	if err != nil || !strings.Contains(string(text), `CMD ["/tenantry", "healthcheck"]`) {
		t.Errorf("%s, %v", text, err)
	}
}

package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tenantry/internal/config"
)

func TestAddFlags_omitsSecrets(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(flags)
	for _, s := range settings {
		if exists := flags.Lookup(flagOf(s.name)) != nil; exists == s.secret {
			t.Errorf("--%s exists: %v", flagOf(s.name), exists)
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if strings.Contains(f.Name, "secret") || strings.Contains(f.Name, "password") &&
			!strings.HasPrefix(f.Name, "password-hash-") {
			t.Errorf("--%s can be read by every user of the machine", f.Name)
		}
	})
}

func TestAddFlags_helpNamesVariableAndDefault(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(flags)
	for _, s := range settings {
		if s.secret {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f := flags.Lookup(flagOf(s.name))
			if f == nil {
				t.Fatalf("no flag --%s", flagOf(s.name))
			}
			if variable := "[TENANTRY_" + s.name + "]"; !strings.HasSuffix(f.Usage, variable) {
				t.Errorf("the help does not name %s: %s", variable, f.Usage)
			}
			if f.DefValue != s.standard {
				t.Errorf("the help states the default %q, want %q", f.DefValue, s.standard)
			}
		})
	}
}

func TestAddFlags_addsOnlyFlagsOfGroups(t *testing.T) {
	t.Parallel()
	count := func(groups ...config.Group) int {
		flags := pflag.NewFlagSet("command", pflag.ContinueOnError)
		config.AddFlags(flags, groups...)
		n := 0
		flags.VisitAll(func(*pflag.Flag) { n++ })
		for _, name := range []string{"database-url", "data-dir"} {
			if (flags.Lookup(name) != nil) != (len(groups) == 0 || slices.Contains(groups, config.Database)) {
				t.Errorf("--%s of %v", name, groups)
			}
		}
		return n
	}
	all, database := count(), count(config.Database)
	if database > 8 || all < 35 || count(config.Database, config.Tenant) != database+1 ||
		count(config.Database, config.Passwords) != database+3 || count(config.Listener) != 1 {
		t.Errorf("%d of all, %d of the database", all, database)
	}
	if got := config.Secrets(config.Database); got != "" {
		t.Errorf("the database has secrets: %s", got)
	}
	if got := config.Secrets(config.Database, config.Keys); !strings.Contains(got, "TENANTRY_SECRET") ||
		strings.Contains(got, "BOOTSTRAP") {
		t.Errorf("secrets of the keys: %s", got)
	}
	if got := config.Secrets(); !strings.Contains(got, "TENANTRY_SECRET_FILE") ||
		!strings.Contains(got, "TENANTRY_BOOTSTRAP_PASSWORD") {
		t.Errorf("secrets: %s", got)
	}
}

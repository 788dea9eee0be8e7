package faults_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// If the secret is empty, short or publicly known, the program ends within two seconds, names the
// setting, and creates no file (ASVS 13.2.3).
func TestServe_invalidSecretIsRefused(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	const long = "qW7-vT2_xR9.kL4!mN6?pS8*dF3^gH5"
	secrets := map[string]string{
		"short": "secret", "of 31 bytes": long, "of a README": "change-me-change-me-change-me-change-me",
		"of a library": "your-secret-key-your-secret-key-0123456789",
		"of a counter": "0123456789abcdef0123456789abcdef", "of one letter": strings.Repeat("x", 48),
	}
	for _, opts := range map[string]database.Options{"sqlite": dbtest.EmptySQLite(t),
		"postgres": dbtest.EmptyPostgres(t)} {
		all := map[string][]string{}
		for name, secret := range secrets {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			all[name], all[name+", in a file"] = []string{"TENANTRY_SECRET=" + secret},
				[]string{"TENANTRY_SECRET_FILE=" + file}
			all[name+", as the previous one"] = []string{"TENANTRY_SECRET=" + long + "xyz",
				"TENANTRY_SECRET_PREVIOUS=" + secret}
		}
		if opts.URL != "" { // SQLite makes one of its own
			all["empty"], all["missing"] = []string{"TENANTRY_SECRET="}, nil
		}
		for name, env := range all {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			cmd := exec.CommandContext(ctx, path, "serve")
			cmd.Env = slices.Concat(slices.DeleteFunc(settings(opts), func(s string) bool {
				return strings.HasPrefix(s, "TENANTRY_SECRET=")
			}), env)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			began := time.Now()
			err := cmd.Run()
			cancel()
			if err == nil || cmd.ProcessState.ExitCode() < 1 || !strings.Contains(out.String(), "TENANTRY_SECRET") {
				t.Errorf("%s: %v: %s", name, err, out.String())
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%s: after %s", name, took)
			}
			if secret := secrets[name]; len(secret) > 8 && strings.Contains(out.String(), secret) {
				t.Errorf("%s: the secret is repeated: %s", name, out.String())
			}
		}
		if opts.URL == "" {
			if left, err := os.ReadDir(opts.DataDir); err == nil && len(left) > 0 {
				t.Errorf("%d files were created", len(left))
			}
		}
	}
}

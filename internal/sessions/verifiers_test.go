package sessions_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

// npmPackages returns a folder with the verifiers of testdata and the packages that its
// package-lock.json pins. Without node or a registry the test is skipped, with CI=true it fails.
func npmPackages(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", "verifiers"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
		t.Skipf("SKIPPED, tokens are not verified by the packages of npm: %v\n%s", err, out)
	}
	return folder
}

// Services verify tokens with other libraries. Strict ones require every claim of RFC 9068.
func TestAccessToken_isVerifiedByNpmLibraries(t *testing.T) {
	t.Parallel()
	folder := npmPackages(t)
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			change := func(c *config.Config) { c.JWTAlgorithm = algorithm }
			s, other := apitest.Start(t, dbtest.SQLite(t), change), apitest.Start(t, dbtest.SQLite(t), change)
			access, refresh := s.Login()
			foreign, _ := other.Login()
			parts := strings.Split(access, ".")
			stranger := strings.Split(foreign, ".")
			said := verifiedBy(s, t, folder, map[string]string{
				"genuine": access, "of_another_key": foreign, "refresh_token": refresh, "without_signature": parts[0] +
					"." + parts[1] + ".",
				"with_another_signature": parts[0] + "." + parts[1] + "." + stranger[2], "with_other_claims": parts[0] +
					"." + stranger[1] + "." + parts[2],
			})
			if len(said) != 3 {
				t.Errorf("%v", said)
			}
			for verifier, of := range said {
				for name, reason := range of {
					if (name == "genuine") != (reason == "") || len(of) != 6 {
						t.Errorf("%s of the token %s: %q", verifier, name, reason)
					}
				}
			}
		})
	}
}

// verifiedBy returns the error of each verifier for each token, "" if it accepts the token.
func verifiedBy(s *apitest.Instance, t *testing.T, folder string,
	tokens map[string]string) (said map[string]map[string]string) {
	t.Helper()
	input, err := json.Marshal(map[string]any{"issuer": "https://id.acme.test", "jwks": s.URL +
		"/.well-known/jwks.json", "tokens": tokens})
	if err != nil {
		t.Fatal(err)
	}
	var problems strings.Builder
	verify := exec.CommandContext(t.Context(), "node", "verify.mjs")
	verify.Dir, verify.Stdin, verify.Stderr = folder, bytes.NewReader(input), &problems
	out, err := verify.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, problems.String())
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return said
}

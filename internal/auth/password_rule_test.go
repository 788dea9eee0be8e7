package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// unusable are passwords that no client can send: JSON may not hold them, or the server refuses
// them in any text.
var unusable = map[string]string{
	"tab": "correct horse\tbattery staple", "newline inside": "correct horse\nbattery staple",
	"newline before": "\ncorrect horse battery",
	"NUL":            "correct horse\x00battery staple", "delete": "correct horse\x7fbattery staple",
	"C1":        "correct horse\u0085battery staple",
	"not UTF-8": "correct horse\xffbattery staple",
}

// usable are passwords of which every character counts.
var usable = map[string]string{
	"blanks around": "  correct horse battery staple  ", "1,024 characters": strings.Repeat("😀", 1024),
	"Thai":      "รหัสผ่านของฉันยาวมาก",
	"invisible": "correct horse\u2028\ufeff\u200bbattery staple", "replacement": "correct horse \ufffd battery",
	"quotes": `correct "horse" \battery\`,
}

// A password that one path accepts is accepted by every other, and signs in.
// accountPaths are the ways to create an account or set its password. n distinguishes tenants.
func accountPaths(t *testing.T, s *apitest.Instance, command func(in string, args ...string) (string, error),
) map[string]func(n int, email, password string) error {
	return map[string]func(n int, email, password string) error{
		"user create": func(_ int, email, password string) error {
			_, err := command(password+"\n", "user", "create", "--tenant=acme", "--email="+email,
				apitest.PasswordFromStdin)
			return err
		},
		"user set-password": func(_ int, email, password string) error {
			if _, err := command("", "user", "create", "--tenant=acme", "--email="+email); err != nil {
				t.Fatal(err)
			}
			_, err := command(password+"\r\n", "user", "set-password", "--tenant=acme", email,
				apitest.PasswordFromStdin)
			return err
		},
		"tenant create": func(n int, email, password string) error {
			_, err := command(password, "tenant", "create", fmt.Sprintf("tenant-%d", n), "--owner="+email,
				apitest.PasswordFromStdin)
			return err
		},
		"register": func(_ int, email, password string) error {
			if a := s.Call("POST", "/api/v1/auth/register", "", map[string]string{"tenant": "acme", "email": email,
				"password": password}); a.Status >= 300 {
				return fmt.Errorf("%d %s", a.Status, a.Body)
			}
			return nil
		},
	}
}

func TestPassword_oneRuleOnEveryPath(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		command := apitest.Command(t, opts)
		paths := accountPaths(t, s, command)
		n := 0
		for path, create := range paths {
			for accepted, passwords := range map[bool]map[string]string{true: usable, false: unusable} {
				for name, password := range passwords {
					if path == "register" && name == "not UTF-8" || path != "user create" && path != "register" &&
						name != "tab" && name != "blanks around" {
						continue // JSON cannot hold it; the others are for one command
					}
					n++
					email, tenant := fmt.Sprintf("user-%d@one.test", n), "acme"
					if path == "tenant create" {
						tenant = fmt.Sprintf("tenant-%d", n)
					}
					err := create(n, email, password)
					if (err == nil) != accepted {
						t.Errorf("%s, %s: %v", path, name, err)
					}
					if err != nil || !accepted {
						continue
					}
					if a := s.Call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": tenant, "email": email,
						"password": password}); a.Status != http.StatusOK {
						t.Errorf("%s, %s: sign-in answered %d %s", path, name, a.Status, a.Body)
					}
				}
			}
		}
		if _, err := command(unusable["tab"], "demo", "--tenants=1", "--users=1",
			apitest.PasswordFromStdin); err == nil || !strings.Contains(err.Error(), "control") {
			t.Errorf("demo: %v", err)
		}
	})
}

package cli_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// An operator manages tenants and users on the database itself, and gets back in.
func TestOperator_manages_tenants_and_users(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		command := apitest.Command(t, opts)
		printed := func(out string, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		refused := func(reason, in string, args ...string) {
			t.Helper()
			_, err := command(in, args...)
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("answered %v, want %s", err, reason)
			}
		}
		login := func(slug, email, password string) apitest.Answer {
			return s.Call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": slug, "email": email,
				"password": password})
		}

		if got := printed(command(apitest.OwnerPassword, "tenant", "create", "beta", "--owner=owner@beta.test",
			apitest.PasswordFromStdin)); !strings.Contains(got, "created tenant beta") ||
			strings.Contains(got, apitest.OwnerPassword) {
			t.Errorf("created: %s", got)
		}
		refused("slug", "", "tenant", "create", "beta", "--owner=owner@beta.test")
		refused("reserved", "", "tenant", "create", "www", "--owner=owner@beta.test")
		refused("slug", "", "tenant", "create", "Not a slug", "--owner=owner@beta.test")
		lines := strings.Split(strings.TrimSpace(printed(command("", "tenant", "list", "--json"))), "\n")
		var newest struct {
			Slug   string
			Active bool
		}
		if err := json.Unmarshal([]byte(lines[0]), &newest); err != nil || newest.Slug != "beta" || !newest.Active ||
			len(lines) != 2 {
			t.Errorf("listed %v, %v", lines, err)
		}

		signedIn := s.Expect(http.StatusOK, login("beta", "owner@beta.test", apitest.OwnerPassword))
		printed(command("", "tenant", "suspend", "beta"))
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", signedIn.Field(t, "access_token"), nil))
		printed(command("", "tenant", "resume", "beta"))
		refused("no tenant", "", "tenant", "resume", "gamma")

		refused("owner", "", "user", "disable", "--tenant=beta", "owner@beta.test")
		refused("no user", "", "user", "disable", "--tenant=beta", apitest.OwnerEmail)
		printed(command(apitest.OwnerPassword, "user", "create", "--tenant=beta", "--email=ada@beta.test",
			"--role=admin", apitest.PasswordFromStdin))
		ada := s.Expect(http.StatusOK, login("beta", "ada@beta.test", apitest.OwnerPassword))
		printed(command("", "user", "disable", "--tenant=beta", "Ada@Beta.test"))
		s.Expect(http.StatusUnauthorized, s.Refresh(ada.Field(t, "refresh_token")))
		if got := printed(command("", "user", "list", "--tenant=beta")); !strings.Contains(got, "ADA") &&
			!strings.Contains(got, "ada@beta.test") {
			t.Errorf("listed %s", got)
		}

		refused("at least 15", "short", "user", "set-password", "--tenant=beta", "owner@beta.test",
			apitest.PasswordFromStdin)
		got := printed(command("", "user", "set-password", "--tenant=beta", "owner@beta.test"))
		_, password, _ := strings.Cut(strings.TrimSpace(got), "shown this once: ")
		s.Expect(http.StatusUnauthorized, s.Refresh(signedIn.Field(t, "refresh_token")))
		s.Expect(http.StatusUnauthorized, login("beta", "owner@beta.test", apitest.OwnerPassword))
		s.Expect(http.StatusOK, login("beta", "owner@beta.test", password))

		if got := printed(command("", "role", "list", "--tenant=beta", "--json")); strings.Count(got, "\n") != 3 ||
			!strings.Contains(got, `"name":"owner"`) {
			t.Errorf("roles: %s", got)
		}
	})
}

func TestDemo_needs_an_operator_and_an_acceptable_password(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		command, demo := apitest.Command(t, opts), []string{"demo", "--tenants=2", "--users=5"}
		if _, err := command("", demo...); err == nil || !strings.Contains(err.Error(), "start the server once") {
			t.Errorf("on an empty database: %v", err)
		}
		s := apitest.Start(t, opts)
		demo = append(demo, apitest.PasswordFromStdin)
		for _, weak := range []string{"", "short"} {
			if _, err := command(weak, demo...); err == nil || !strings.Contains(err.Error(), "at least 15") {
				t.Errorf("with the password %q: %v", weak, err)
			}
		}
		if out, err := command(apitest.OwnerPassword+"\n", demo...); err != nil ||
			!strings.Contains(out, "made 2 tenants, 5 users") {
			t.Fatalf("%v, %s", err, out)
		}
		a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
			map[string]string{"tenant": "demo-1", "email": "owner@demo-1.example", "password": apitest.OwnerPassword}))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users?role=owner", a.Field(t, "access_token"), nil))
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		command := apitest.Command(t, opts)
		printed := func(out string, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if got := printed(command("", "migrate", "status")); !strings.Contains(got, "applied  init") ||
			!strings.Contains(got, "nothing is pending") {
			t.Errorf("status: %s", got)
		}
		if out, err := command("", "migrate", "down", "--to=0"); err == nil ||
			!strings.Contains(out, "table users: 1 rows") {
			t.Errorf("down without yes: %v", err)
		}
		create := []string{"user", "create"}
		ada := append(create, "--email=Ada@Acme.test", "--role=admin")
		got := printed(command("a password of Ada's\n", append(ada, apitest.PasswordFromStdin)...))
		if strings.Contains(got, "a password of Ada's") {
			t.Errorf("create repeats the password: %s", got)
		}
		s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
			apitest.Credentials("ada@acme.test", "a password of Ada's")))
		for name, args := range map[string][]string{
			"a taken address":   ada,
			"an unknown tenant": append(create, "--email=b@acme.test", "--role=admin", "--tenant=unknown"),
			"an unknown role":   append(create, "--email=b@acme.test", "--role=god"),
			"no address":        append(create, "--email=b", "--role=admin"),
		} {
			if _, err := command("", args...); err == nil {
				t.Errorf("%s was accepted", name)
			}
		}
		bob := printed(command("", append(create, "--email=bob@acme.test")...))
		password := regexp.MustCompile(`once: (\S+)`).FindStringSubmatch(bob)
		if password == nil {
			t.Fatalf("no password in %q", bob)
		}
		s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
			apitest.Credentials("bob@acme.test", password[1])))
	})
}

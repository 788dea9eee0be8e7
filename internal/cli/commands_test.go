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

// operator runs commands on the database of a server.
type operator struct {
	t       *testing.T
	s       *apitest.Instance
	command func(in string, args ...string) (string, error)
}

// run returns the output of a command, which must succeed.
func (o operator) run(in string, args ...string) string {
	o.t.Helper()
	out, err := o.command(in, args...)
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

// refused checks that a command fails for a reason.
func (o operator) refused(reason, in string, args ...string) {
	o.t.Helper()
	_, err := o.command(in, args...)
	if err == nil || !strings.Contains(err.Error(), reason) {
		o.t.Errorf("error %v, want %s", err, reason)
	}
}

func (o operator) login(email, password string) apitest.Answer {
	return o.s.Call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": "beta", "email": email,
		"password": password})
}

// An operator manages tenants and users in the database, and can always regain access.
func TestCommands_manageTenantsAndUsers(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		o := operator{t, apitest.Start(t, opts), apitest.Command(t, opts)}
		o.createsAndListsTenants()
		signedIn := o.s.Expect(http.StatusOK, o.login("owner@beta.test", apitest.OwnerPassword))
		o.suspendsAndResumesTenant(signedIn)
		o.disablesUser()
		o.setsPassword(signedIn)
		if got := o.run("", "role", "list", "--tenant=beta", "--json"); strings.Count(got, "\n") != 3 ||
			!strings.Contains(got, `"name":"owner"`) {
			t.Errorf("roles: %s", got)
		}
	})
}

func (o operator) createsAndListsTenants() {
	if got := o.run(apitest.OwnerPassword, "tenant", "create", "beta", "--owner=owner@beta.test",
		apitest.PasswordFromStdin); !strings.Contains(got, "created tenant beta") ||
		strings.Contains(got, apitest.OwnerPassword) {
		o.t.Errorf("created: %s", got)
	}
	o.refused("slug", "", "tenant", "create", "beta", "--owner=owner@beta.test")
	o.refused("reserved", "", "tenant", "create", "www", "--owner=owner@beta.test")
	o.refused("slug", "", "tenant", "create", "Not a slug", "--owner=owner@beta.test")
	lines := strings.Split(strings.TrimSpace(o.run("", "tenant", "list", "--json")), "\n")
	var newest struct {
		Slug   string
		Active bool
	}
	if err := json.Unmarshal([]byte(lines[0]), &newest); err != nil || newest.Slug != "beta" || !newest.Active ||
		len(lines) != 2 {
		o.t.Errorf("listed %v, %v", lines, err)
	}
}

func (o operator) suspendsAndResumesTenant(signedIn apitest.Answer) {
	o.run("", "tenant", "suspend", "beta")
	o.s.Expect(http.StatusUnauthorized, o.s.Call("GET", "/api/v1/users/me", signedIn.Field(o.t, "access_token"), nil))
	o.run("", "tenant", "resume", "beta")
	o.refused("not found", "", "tenant", "resume", "gamma")
}

func (o operator) disablesUser() {
	o.refused("owner", "", "user", "disable", "--tenant=beta", "owner@beta.test")
	o.refused("not found", "", "user", "disable", "--tenant=beta", apitest.OwnerEmail)
	o.run(apitest.OwnerPassword, "user", "create", "--tenant=beta", "--email=ada@beta.test", "--role=admin",
		apitest.PasswordFromStdin)
	ada := o.s.Expect(http.StatusOK, o.login("ada@beta.test", apitest.OwnerPassword))
	o.run("", "user", "disable", "--tenant=beta", "Ada@Beta.test")
	o.s.Expect(http.StatusUnauthorized, o.s.Refresh(ada.Field(o.t, "refresh_token")))
	if got := o.run("", "user", "list", "--tenant=beta"); !strings.Contains(got, "ADA") &&
		!strings.Contains(got, "ada@beta.test") {
		o.t.Errorf("listed %s", got)
	}
}

func (o operator) setsPassword(signedIn apitest.Answer) {
	o.refused("at least 15", "short", "user", "set-password", "--tenant=beta", "owner@beta.test",
		apitest.PasswordFromStdin)
	got := o.run("", "user", "set-password", "--tenant=beta", "owner@beta.test")
	_, password, _ := strings.Cut(strings.TrimSpace(got), "shown this once: ")
	o.s.Expect(http.StatusUnauthorized, o.s.Refresh(signedIn.Field(o.t, "refresh_token")))
	o.s.Expect(http.StatusUnauthorized, o.login("owner@beta.test", apitest.OwnerPassword))
	o.s.Expect(http.StatusOK, o.login("owner@beta.test", password))
}

func TestDemo_requiresTenantAndAcceptablePassword(t *testing.T) {
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
			!strings.Contains(out, "created 2 tenants, 5 users") {
			t.Fatalf("%v, %s", err, out)
		}
		a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
			map[string]string{"tenant": "demo-1", "email": "owner@demo-1.example", "password": apitest.OwnerPassword}))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users?role=owner", a.Field(t, "access_token"), nil))
	})
}

func TestCommands_migrateAndCreateUsers(t *testing.T) {
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
			!strings.Contains(got, "no pending migrations") {
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

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run runs a command line and returns its output, with its error, and its exit status.
func run(t *testing.T, args ...string) (printed string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer // two buffers: the log writes concurrently
	cmd := environment(os.Environ()).root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	if err := execute(t.Context(), cmd); err != nil {
		fmt.Fprintln(&errs, err)
		exit = ExitStatus(err)
	}
	return out.String() + errs.String(), exit
}

// A misspelt command fails, with suggestions.
func TestCommandLine_invalidIsStatus2(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"mgirate":                       "\n\tmigrate",
		"migrate ip":                    "\n\tup",
		"migrate stauts --data-dir x":   "\n\tstatus",
		"migrate":                       "down, finish, status, up",
		"tenant lst":                    "\n\tlist",
		"user crate":                    "\n\tcreate",
		"user set_password":             "\n\tset-password",
		"role ls":                       "unknown command",
		"keys rotat":                    "\n\trotate",
		"completion bahs":               "\n\tbash",
		"help migrat":                   "\n\tmigrate",
		"help migrate ip":               "\n\tup",
		"serve now":                     "unknown command \"now\"",
		"version x":                     "unknown command \"x\"",
		"serve --lisen=:80":             "\n\t--listen",
		"migrate up --listen=:80":       "unknown flag: --listen",
		"user create":                   "email",
		"user disable":                  "accepts 1 arg",
		"demo --tenants=many":           "--tenants: \"many\" is not a whole number",
		"demo --seed=-1":                "--seed: \"-1\" is not a whole number",
		"load --duration=soon":          "--duration: \"soon\" is not a duration",
		"migrate up --db-prepared=ja":   "--db-prepared: \"ja\" is not true or false",
		"load --requests=1 --rate=1":    "rate",
		"healthcheck --timeout=forever": "--timeout: \"forever\" is not a duration",
	} {
		printed, exit := run(t, strings.Fields(line)...)
		if exit != exitUsage || !strings.Contains(printed, want) || strings.Contains(printed, "strconv") {
			t.Errorf("%s: status %d\n%s", line, exit, printed)
		}
		if strings.Contains(printed, "\n\n\n") || !strings.Contains(printed, "See `tenantry") {
			t.Errorf("%s: printed %q", line, printed)
		}
	}
}

func TestCommandLine_helpAndVersionSucceed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "--help", "help", "help migrate up", "migrate --help", "help migrate",
		"completion bash", "version", "--version"} {
		if printed, exit := run(t, strings.Fields(line)...); exit != 0 || printed == "" {
			t.Errorf("%s: status %d\n%s", line, exit, printed)
		}
	}
	version, _ := run(t, "version")
	if flag, _ := run(t, "--version"); flag != version {
		t.Errorf("--version prints %q, and version %q", flag, version)
	}
}

// The help of a command lists its own flags and those of the database. That of `serve` lists every
// setting.
func TestHelp_listsFlagsOfCommand(t *testing.T) {
	t.Parallel()
	each(environment(nil).root(), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() || cmd.Name() == "serve" {
			return
		}
		printed, exit := run(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		if n := strings.Count(printed, "\n      --"); exit != 0 || n > 18 {
			t.Errorf("%s: status %d, %d flags\n%s", cmd.CommandPath(), exit, n, printed)
		}
		if strings.Contains(printed, "--listen ") && cmd.Name() != "healthcheck" {
			t.Errorf("%s does not listen", cmd.CommandPath())
		}
	})
	if printed, _ := run(t, "migrate", "--help"); strings.Contains(printed, "tenantry migrate [flags]") ||
		!strings.Contains(printed, "tenantry migrate [command]") {
		t.Errorf("printed %s", printed)
	}
	if printed, _ := run(t, "migrate", "up", "--help"); !strings.Contains(printed, "tenantry migrate up [flags]") {
		t.Errorf("printed %s", printed)
	}
}

func TestExitStatus_ofCommandErrorIs1(t *testing.T) {
	t.Parallel()
	if got := ExitStatus(errors.New("the database is down")); got != 1 {
		t.Errorf("status %d", got)
	}
	if printed, exit := run(t, "healthcheck", "--listen=nowhere"); exit != 1 ||
		!strings.Contains(printed, "TENANTRY_LISTEN: ") {
		t.Errorf("status %d\n%s", exit, printed)
	}
}

func TestHealthcheck_succeedsOnlyIfHealthy(t *testing.T) {
	t.Parallel()
	var ready bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz" || (r.URL.Path == "/readyz" && ready):
		case r.URL.Path == "/readyz":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			http.Redirect(w, r, "/healthz", http.StatusFound)
		}
	}))
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	expect := func(want int, args ...string) {
		t.Helper()
		if printed, exit := run(t, append([]string{"healthcheck", "--timeout=10s"}, args...)...); exit != want {
			t.Errorf("%q: status %d\n%s", args, exit, printed)
		}
	}
	expect(0, "--listen=127.0.0.1"+port)
	expect(0, "--listen=0.0.0.0"+port) // as the image listens
	expect(0, "--listen="+port)
	expect(1, "--listen=127.0.0.1"+port, "--ready")
	ready = true
	expect(0, "--listen=127.0.0.1"+port, "--ready")
	s.Close()
	expect(1, "--listen=127.0.0.1"+port)
	expect(1, "--listen=127.0.0.1:0")
}

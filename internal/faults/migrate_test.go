package faults_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tenantry/internal/database/dbtest"
)

// S-05: the next run completes a `tenantry migrate up` that was killed at any time.
func TestMigrateUp_killedContinuesInNextRun(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for name, empty := range map[string]func() []string{
		"sqlite":   func() []string { return settings(dbtest.EmptySQLite(t)) },
		"postgres": func() []string { return settings(dbtest.EmptyPostgres(t)) },
	} {
		began, rounds := time.Now(), size(4, 50)
		if out, err := migrate(t, path, empty(), "up").CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		whole := time.Since(began)
		for round := range rounds {
			env := empty()
			killed := migrate(t, path, env, "up")
			if err := killed.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(whole*time.Duration(round+1)/time.Duration(rounds+1), func() {
				_ = killed.Process.Kill()
			})
			_ = killed.Wait() // it has ended by itself, or was killed
			timer.Stop()
			out, err := migrate(t, path, env, "up").CombinedOutput()
			if err != nil {
				t.Fatalf("%s, round %d: %v\n%s", name, round, err, out)
			}
			status, err := migrate(t, path, env, "status").CombinedOutput()
			if err != nil || !strings.Contains(string(status), "no pending migrations") {
				t.Fatalf("%s, round %d: %v\n%s", name, round, err, status)
			}
			t.Logf("%s, round %d: %d migrations after the kill", name, round, bytes.Count(out, []byte("applied ")))
		}
	}
}

func migrate(t *testing.T, path string, env []string, command string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, "migrate", command)
	cmd.Env = env
	return cmd
}

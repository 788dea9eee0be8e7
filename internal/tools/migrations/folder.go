package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
	_ "github.com/lib/pq"  // database/sql driver "postgres"
	_ "modernc.org/sqlite" // database/sql driver "sqlite"
)

// folders are the migration folders of both databases.
var folders = []string{"sqlite", "postgres"}

// folder is the migration folder of one database, and an empty database to replay it in.
type folder struct {
	name    string
	dialect string
	dir     *migrate.LocalDir
	db      *sql.DB
	driver  migrate.Driver
}

// open opens the folders under root. It omits Postgres without the URL of an empty database.
func open(ctx context.Context, root, devURL string) (all []*folder, err error) {
	for _, name := range folders {
		f := &folder{name: name, dialect: dialect.Postgres}
		program, dsn := "postgres", devURL
		if name == "sqlite" {
			f.dialect, program, dsn = dialect.SQLite, "sqlite", "file::memory:?_pragma=foreign_keys(1)"
		} else if devURL == "" {
			continue
		}
		if f.dir, err = migrate.NewLocalDir(filepath.Join(root, name)); err != nil {
			return nil, err
		}
		if f.db, err = sql.Open(program, dsn); err != nil {
			return nil, err
		}
		f.db.SetMaxOpenConns(1) // each connection to a database in memory has its own
		if err = f.db.PingContext(ctx); err != nil {
			return nil, fmt.Errorf("connect to the %s database to replay in: %w", name, err)
		}
		if f.dialect == dialect.SQLite {
			f.driver, err = sqlite.Open(f.db)
		} else {
			f.driver, err = postgres.Open(f.db)
		}
		if err != nil {
			return nil, fmt.Errorf("connect to the %s database to replay in: %w", name, err)
		}
		all = append(all, f)
	}
	return all, nil
}

func (f *folder) close() { _ = f.db.Close() }

// inspect returns the schema of the database.
func (f *folder) inspect(ctx context.Context) (*schema.Realm, error) {
	return migrate.SchemaConn(f.driver, "", nil).ReadState(ctx)
}

// hash writes the atlas.sum of each folder.
func hash(root string) error {
	for _, name := range folders {
		dir, err := migrate.NewLocalDir(filepath.Join(root, name))
		if err != nil {
			return err
		}
		sum, err := dir.Checksum()
		if err != nil {
			return err
		}
		if err := migrate.WriteSumFile(dir, sum); err != nil {
			return err
		}
	}
	return nil
}

// validate fails if a folder does not match its atlas.sum or cannot be replayed, or if the versions
// of the folders differ.
func validate(ctx context.Context, root string, all []*folder) error {
	var names [][]string
	for _, name := range folders {
		dir, err := migrate.NewLocalDir(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if err := migrate.Validate(dir); err != nil {
			return fmt.Errorf("%s: %w: after a manual edit run `go run ./internal/tools/migrations hash`", dir.Path(),
				err)
		}
		files, err := dir.Files()
		if err != nil {
			return err
		}
		var in []string
		for _, f := range files {
			in = append(in, f.Name())
		}
		names = append(names, in)
	}
	if !slices.Equal(names[0], names[1]) {
		return errors.New("the folders have different versions")
	}
	for _, f := range all {
		executor, err := migrate.NewExecutor(f.driver, f.dir, migrate.NopRevisionReadWriter{})
		if err != nil {
			return err
		}
		if _, err := executor.Replay(ctx, migrate.SchemaConn(f.driver, "", nil)); err != nil {
			return fmt.Errorf("replay %s: %w", f.dir.Path(), err)
		}
	}
	return nil
}

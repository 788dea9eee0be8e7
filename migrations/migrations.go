package migrations

import (
	"embed"
	"fmt"
	"path"

	"ariga.io/atlas/sql/migrate"
)

//go:embed postgres sqlite
var files embed.FS

// Dir returns the folder of a database, "postgres" or "sqlite", with its atlas.sum. The caller may
// change what it gets without harm to others.
func Dir(database string) (migrate.Dir, error) {
	entries, err := files.ReadDir(database)
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	dir := &migrate.MemDir{}
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join(database, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read embedded migrations: %w", err)
		}
		if err := dir.WriteFile(entry.Name(), content); err != nil {
			return nil, fmt.Errorf("read embedded migrations: %w", err)
		}
	}
	return dir, nil
}

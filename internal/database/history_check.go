package database

import (
	"fmt"
	"slices"

	"ariga.io/atlas/sql/migrate"
)

// check fails for files that differ from their checksums, for a history of another program, and for
// a migration that was applied in part or changed afterwards. The error says what to do.
func (m *Migrator) check(revisions []*migrate.Revision) error {
	if err := migrate.Validate(m.dir); err != nil {
		return fmt.Errorf("the migration files do not match their atlas.sum (%w): use an untouched build, "+
			"or run `atlas migrate hash` if you changed them on purpose", err)
	}
	sums, err := m.dir.Checksum()
	if err != nil {
		return err
	}
	files, err := m.dir.Files()
	if err != nil {
		return err
	}
	if err := checkForeign(revisions, files); err != nil {
		return err
	}
	for _, r := range revisions {
		if r.Applied < r.Total {
			return fmt.Errorf("migration %s is applied in part, %d of %d statements (%s): repair the database by "+
				"hand, then run `atlas migrate set %s` if you finished the migration, or delete its row from %s if "+
				"you undid it", r.Version, r.Applied, r.Total, r.Error, r.Version, historyTable)
		}
		for _, f := range files {
			if f.Version() != r.Version || r.Hash == "" {
				continue
			}
			if sum, err := sums.SumByName(f.Name()); err != nil || sum != r.Hash {
				return fmt.Errorf("migration %s was changed after it had been applied: restore the file that was "+
					"applied and put the change in a new migration", f.Name())
			}
		}
	}
	return nil
}

// checkForeign fails for the history of another program. In the history of a newer build, every
// migration of this build comes before the unknown ones.
func checkForeign(revisions []*migrate.Revision, files []migrate.File) error {
	last := files[len(files)-1].Version()
	for _, r := range revisions {
		known := slices.ContainsFunc(files, func(f migrate.File) bool { return f.Version() == r.Version })
		if !known && (r.Version < last || find(revisions, last) == nil) {
			return fmt.Errorf("the migration history %s belongs to another program, since it has migration %s %s: "+
				"give tenantry a database of its own", historyTable, r.Version, r.Description)
		}
	}
	return nil
}

func find(revisions []*migrate.Revision, version string) *migrate.Revision {
	for _, r := range revisions {
		if r.Version == version {
			return r
		}
	}
	return nil
}

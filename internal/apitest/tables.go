package apitest

import (
	"tenantry/ent/migrate"
)

// Rows returns the number of rows of a table.
func (s *Instance) Rows(table string) int64 {
	s.Helper()
	n, err := s.DB.CountRows(s.Context(), table)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// WrittenRows returns the number of rows of the database without counters and the change log.
func (s *Instance) WrittenRows() (n int64) {
	for _, table := range migrate.Tables {
		if table.Name != "throttles" && table.Name != "changes" {
			n += s.Rows(table.Name)
		}
	}
	return n
}

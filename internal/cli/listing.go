package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// listing prints rows as a table, or as JSON with one object a line.
type listing struct {
	columns []string
	table   *tabwriter.Writer
	lines   *json.Encoder
	err     error
}

func (i *invocation) list(asJSON bool, columns ...string) *listing {
	if asJSON {
		return &listing{columns: columns, lines: json.NewEncoder(i.out)}
	}
	table := tabwriter.NewWriter(i.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.ToUpper(strings.ReplaceAll(strings.Join(columns, "\t"), "_", " ")))
	return &listing{columns: columns, table: table}
}

// add prints a row. It must have one value for each column.
func (l *listing) add(values ...any) {
	if l.lines == nil {
		texts := make([]string, 0, len(values))
		for _, v := range values {
			texts = append(texts, fmt.Sprint(v))
		}
		fmt.Fprintln(l.table, strings.Join(texts, "\t"))
		return
	}
	row := make(map[string]any, len(values))
	for i, v := range values {
		row[l.columns[i]] = v
	}
	if err := l.lines.Encode(row); err != nil && l.err == nil {
		l.err = err
	}
}

// close flushes the table and returns the first error.
func (l *listing) close() error {
	if l.table != nil {
		return l.table.Flush()
	}
	return l.err
}

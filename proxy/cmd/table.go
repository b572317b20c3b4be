package cmd

import (
	"io"
	"strings"
	"text/tabwriter"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// A table is written in columns. No cell can begin another, or a row of its own: much of
// what is in them was written by others.
type table struct{ columns *tabwriter.Writer }

func newTable(out io.Writer) table {
	return table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
}

func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = plaintext.Line(cell)
	}
	_, _ = io.WriteString(t.columns, strings.Join(cells, "\t")+"\n") // flush tells
}

func (t table) flush() error { return t.columns.Flush() }

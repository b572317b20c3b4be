package portal

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csvHeader are the columns of deliverables in CSV. What may be several is
// separated by "; "; a semicolon or a backslash of its own has a backslash in front.
var csvHeader = []string{"id", "goal", "title", "owner", "status", "due", "depends_on", "acceptance"}

const csvSeparator = "; "

func writeCSV(out io.Writer, deliverables []Deliverable) error {
	w := csv.NewWriter(out)
	rows := [][]string{csvHeader}
	for _, d := range deliverables {
		row := []string{
			d.ID, d.Goal, d.Title, d.Owner, string(d.Status), d.Due,
			joined(d.DependsOn), joined(d.Acceptance),
		}
		for i := range row {
			row[i] = cell(row[i])
		}
		rows = append(rows, row)
	}
	return w.WriteAll(rows)
}

// formulaStart are the characters with which a spreadsheet takes a cell for a
// formula, and would run what somebody wrote into a title.
const formulaStart = "=+-@\t\r"

func cell(text string) string {
	if formula(text) {
		return "'" + text
	}
	return text
}

func uncell(text string) string {
	if formula(text) {
		return strings.TrimPrefix(text, "'")
	}
	return text
}

// formula says if a text is one, or one that has been kept from being one.
func formula(text string) bool {
	text = strings.TrimLeft(text, "'")
	return text != "" && strings.ContainsRune(formulaStart, rune(text[0]))
}

func parseCSV(text string) (agreement, error) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
	if err != nil {
		return agreement{}, fmt.Errorf("text: %w", err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], csvHeader) {
		return agreement{}, fmt.Errorf("text: the first line is to be %s", strings.Join(csvHeader, ","))
	}
	var a agreement
	for _, row := range rows[1:] {
		for i := range row {
			row[i] = uncell(row[i])
		}
		a.Deliverables = append(a.Deliverables, Deliverable{
			ID: row[0], Goal: row[1], Title: row[2], Owner: row[3], Status: DeliverableStatus(row[4]), Due: row[5],
			DependsOn: several(row[6]), Acceptance: several(row[7]),
		})
	}
	return a, nil
}

// joined and several are each other's reverse, whatever is in the parts.
func joined(parts []string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = strings.NewReplacer(`\`, `\\`, ";", `\;`).Replace(part)
	}
	return strings.Join(escaped, csvSeparator)
}

func several(text string) []string {
	var parts []string
	var part strings.Builder
	end := func() {
		if trimmed := strings.TrimSpace(part.String()); trimmed != "" {
			parts = append(parts, trimmed)
		}
		part.Reset()
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && strings.IndexByte(`\;`, text[i+1]) >= 0:
			i++
			part.WriteByte(text[i])
		case text[i] == ';':
			end()
		default:
			part.WriteByte(text[i])
		}
	}
	end()
	return parts
}

package portal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/server/guard"
)

// Formats of import and export. YAML has everything; CSV has the columns of
// csvHeader, for a spreadsheet, and deliverables alone.
const (
	formatYAML = "yaml"
	formatCSV  = "csv"
)

// format is one of formats.
type format string

var formats = []format{formatYAML, formatCSV}

func (p *Portal) registerExchange(g *guard.Guard) {
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "export", Title: "Export", Annotations: reading(),
		Description: "Gives what you may see as one text: YAML has everything; CSV has the deliverables, for a spreadsheet.",
	}, p.export)
	if p.ReadOnly() {
		return
	}
	tool := &mcp.Tool{
		Name: "import", Title: "Import", Annotations: replacing(),
		Description: "Adds or replaces goals and deliverables from YAML, or deliverables from CSV, as export gives them. Notes and history stay. With dry_run it says what it would do.",
	}
	tool.InputSchema, tool.OutputSchema = schema[importIn](), schema[Imported]()
	guard.AddTool(g, guard.Admin, tool, p.importItems)
}

type exportIn struct {
	Format format `json:"format,omitempty" jsonschema:"yaml if left out"`
	Goal   string `json:"goal,omitempty" jsonschema:"only the goal with this id, and what serves it"`
}

type exportOut struct {
	Format string `json:"format"`
	Text   string `json:"text"`
}

func (p *Portal) export(ctx context.Context, r Reader, in exportIn) (exportOut, error) {
	in.Format = cmp.Or(in.Format, formatYAML)
	text, err := p.Export(ctx, r, string(in.Format), in.Goal)
	return exportOut{Format: string(in.Format), Text: text}, err
}

// Export writes what the reader may see, in the format "yaml" or "csv": everything, or
// one goal and what serves it.
func (p *Portal) Export(ctx context.Context, r Reader, format, goal string) (string, error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return "", err
	}
	if goal != "" {
		g, err := view.Goal(goal)
		if err != nil {
			return "", fmt.Errorf("goal: %w", err)
		}
		view.Goals, view.Deliverables = []Goal{g}, view.serving(goal)
	}
	var out bytes.Buffer
	switch format {
	case formatYAML:
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		err = errors.Join(encoder.Encode(agreement{view.Goals, view.Deliverables}), encoder.Close())
	case formatCSV:
		err = writeCSV(&out, view.Deliverables)
	default:
		err = fmt.Errorf("format: %.100q: use yaml or csv", format)
	}
	return out.String(), err
}

// maxWrongLines is how many lines checkLines names.
const maxWrongLines = 20

// checkLines tells which lines of a text that cannot be read hold characters that it may not
// have. For some of them that is why; the parser does not say where.
func checkLines(text string) error {
	var wrong []error
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if number++; len(wrong) == maxWrongLines {
			break
		}
		if err := plaintext.Check(line, plaintext.Lines); err != nil {
			wrong = append(wrong, fmt.Errorf("text: line %d: %w", number, err))
		}
	}
	return errors.Join(wrong...)
}

// parse reads what is to be imported.
func parse(format, text string) (agreement, error) {
	switch format {
	case formatYAML:
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		var a agreement
		if err := decoder.Decode(&a); err != nil {
			return a, errors.Join(checkLines(text), fmt.Errorf("text: %w", err))
		}
		if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
			return a, errors.New("text: it goes on after its first YAML document: import each by itself, or all as one without ---")
		}
		return a, nil
	case formatCSV:
		return parseCSV(text)
	}
	return agreement{}, fmt.Errorf("format: %.100q: use yaml or csv", format)
}

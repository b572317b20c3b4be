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

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/store"
)

// Formats of import and export. YAML has everything; CSV has the columns of
// csvHeader, for a spreadsheet, and deliverables alone.
const (
	formatYAML = "yaml"
	formatCSV  = "csv"
)

func (p *Portal) registerExchange(g *guard.Guard) {
	addTool(g, guard.Viewer, &mcp.Tool{
		Name: "export", Title: "Export", Annotations: reading(),
		Description: "Gives what you may see as one text: YAML has everything; CSV has the deliverables, for a spreadsheet.",
	}, p.export)
	if p.ReadOnly() {
		return
	}
	tool := &mcp.Tool{
		Name: "import", Title: "Import", Annotations: writing(true),
		Description: "Adds or replaces goals and deliverables from YAML, or deliverables from CSV, as export gives them. Notes and history stay. With dry_run it says what it would do.",
	}
	tool.InputSchema, tool.OutputSchema = schema[importIn](), schema[Imported]()
	guard.AddTool(g, guard.Admin, tool, p.importItems)
}

type exportIn struct {
	Format string `json:"format,omitempty" jsonschema:"yaml (the default) or csv"`
}

type exportOut struct {
	Format string `json:"format"`
	Text   string `json:"text"`
}

func (p *Portal) export(ctx context.Context, r Reader, in exportIn) (exportOut, error) {
	in.Format = cmp.Or(in.Format, formatYAML)
	text, err := p.Export(ctx, r, in.Format)
	return exportOut{Format: in.Format, Text: text}, err
}

// Export writes what the reader may see, in the format "yaml" or "csv".
func (p *Portal) Export(ctx context.Context, r Reader, format string) (string, error) {
	view, err := p.View(ctx, r)
	if err != nil {
		return "", err
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

type importIn struct {
	Format string `json:"format" jsonschema:"yaml or csv"`
	Text   string `json:"text" jsonschema:"as export gives it"`
	DryRun bool   `json:"dry_run,omitempty" jsonschema:"only say what would be done"`
}

// Imported says what an import did.
type Imported struct {
	Added     []string `json:"added" jsonschema:"ids"`
	Replaced  []string `json:"replaced" jsonschema:"ids"`
	Unchanged []string `json:"unchanged" jsonschema:"ids"`
	DryRun    bool     `json:"dry_run,omitempty"`
}

// importItems tells how far it is, as a large import into a bucket takes a while.
func (p *Portal) importItems(ctx context.Context, req *mcp.CallToolRequest, in importIn) (*mcp.CallToolResult, Imported, error) {
	reader, err := readerFrom(ctx)
	if err != nil {
		return nil, Imported{}, err
	}
	var progress func(done, all int)
	if token := req.Params.GetProgressToken(); token != nil && req.Session != nil {
		progress = func(done, all int) {
			// A client that does not get it has lost nothing but the sight of it.
			_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
				ProgressToken: token, Progress: float64(done), Total: float64(all), Message: fmt.Sprintf("%d of %d imported", done, all),
			})
		}
	}
	out, err := p.Import(ctx, reader, in.Format, in.Text, in.DryRun, progress)
	return nil, out, err
}

// Import adds or replaces items. Nothing is written if any of them is wrong; all
// that is wrong is in the error. An import that was interrupted can be made again:
// what is there already is left as it is.
func (p *Portal) Import(ctx context.Context, r Reader, format, text string, dryRun bool, progress func(done, all int)) (Imported, error) {
	out := Imported{Added: []string{}, Replaced: []string{}, Unchanged: []string{}, DryRun: dryRun}
	items, err := parse(format, text)
	if err != nil {
		return out, err
	}
	all, err := p.load(ctx)
	if err != nil {
		return out, err
	}
	if err := items.check(all); err != nil {
		return out, err
	}
	c := p.newChange(r, "imported")
	total := len(items.Goals) + len(items.Deliverables)
	done := 0
	step := func(id string, outcome *[]string, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w; %d of %d were imported: import the same again to go on", id, err, done, total)
		}
		*outcome = append(*outcome, id)
		if done++; progress != nil {
			progress(done, total)
		}
		return ctx.Err()
	}
	for _, g := range items.Goals {
		outcome, err := importOne(ctx, p, c, format, goalName(g.ID), g, dryRun, &out)
		if err := step(g.ID, outcome, err); err != nil {
			return out, err
		}
	}
	for _, d := range items.Deliverables {
		outcome, err := importOne(ctx, p, c, format, deliverableName(d.ID), d, dryRun, &out)
		if err := step(d.ID, outcome, err); err != nil {
			return out, err
		}
	}
	return out, nil
}

// item is a goal or a deliverable.
type item[T any] interface {
	*T
	completed(before T, format string) T // with what the format has no place for
	keeping(before T) T                  // with what import does not touch
	same(other T) bool                   // in what import touches
	changedBy(c change) T                // with the change in its history
	without() T                          // without what import does not touch
	check() error
}

// importOne writes one item, and says which list of out it belongs to.
func importOne[T any, P item[T]](ctx context.Context, p *Portal, c change, format, name string, incoming T, dryRun bool, out *Imported) (*[]string, error) {
	incoming = P(&incoming).without()
	for range attempts {
		data, version, err := p.Store.Read(ctx, name)
		if err != nil && !errors.Is(err, store.ErrNotExist) {
			return nil, err
		}
		next, outcome := incoming, &out.Added
		if err == nil {
			outcome = &out.Replaced
			// A document that cannot be used is replaced: that is how to mend it.
			if before, err := decodeItem[T](p.Client, data); err == nil {
				incoming = P(&incoming).completed(*before, format)
				if P(&incoming).same(*before) {
					return &out.Unchanged, nil
				}
				next = P(&incoming).keeping(*before)
			}
		}
		next = P(&next).changedBy(c)
		if err := P(&next).check(); err != nil || dryRun {
			return outcome, err
		}
		if data, err = encode(p.Client, next); err != nil {
			return nil, err
		}
		_, err = p.Store.Write(ctx, name, data, version)
		if err == nil {
			p.changed(ctx, name)
			return outcome, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, errors.New("too many others are changing it")
}

// parse reads what is to be imported.
func parse(format, text string) (agreement, error) {
	switch format {
	case formatYAML:
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		var a agreement
		if err := decoder.Decode(&a); err != nil {
			return a, fmt.Errorf("text: %w", err)
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

// check gives everything that is wrong with items, by themselves and together
// with what there is already.
func (a agreement) check(existing contents) error {
	var wrong []error
	goals, deliverables := map[string]bool{}, map[string]bool{}
	for _, g := range existing.goals {
		goals[g.ID] = true
	}
	for _, d := range existing.deliverables {
		deliverables[d.ID] = true
	}
	seen := map[string]bool{}
	once := func(kind, id string) {
		if seen[kind+id] {
			wrong = append(wrong, fmt.Errorf("%s %q: id: it is there twice", kind, id))
		}
		seen[kind+id] = true
	}
	of := func(kind, id string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s %q: %s", kind, id, strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	for _, g := range a.Goals {
		once("goal", g.ID)
		of("goal", g.ID, g.check())
		goals[g.ID] = true
	}
	for _, d := range a.Deliverables {
		once("deliverable", d.ID)
		of("deliverable", d.ID, d.check())
		deliverables[d.ID] = true
	}
	for _, d := range a.Deliverables {
		if !goals[d.Goal] {
			wrong = append(wrong, fmt.Errorf("deliverable %q: goal: %q: there is no such goal", d.ID, d.Goal))
		}
		for i, id := range d.DependsOn {
			if !deliverables[id] {
				wrong = append(wrong, fmt.Errorf("deliverable %q: depends_on[%d]: %q: there is no such deliverable", d.ID, i, id))
			}
		}
	}
	return errors.Join(wrong...)
}

func (g *Goal) without() Goal {
	next := *g
	next.Notes, next.History = nil, nil
	return next
}

func (g *Goal) completed(Goal, string) Goal { return *g }

func (g *Goal) keeping(before Goal) Goal {
	next := *g
	next.Notes, next.History = before.Notes, before.History
	return next
}

func (g *Goal) same(other Goal) bool { return sameYAML(g.without(), other.without()) }

func (g *Goal) changedBy(c change) Goal {
	next := *g
	next.History = c.record(next.History)
	return next
}

func (d *Deliverable) without() Deliverable {
	next := *d
	next.Notes, next.History = nil, nil
	return next
}

func (d *Deliverable) completed(before Deliverable, format string) Deliverable {
	next := *d
	if format == formatCSV {
		next.Links = before.Links
	}
	return next
}

func (d *Deliverable) keeping(before Deliverable) Deliverable {
	next := *d
	next.Notes, next.History = before.Notes, before.History
	return next
}

func (d *Deliverable) same(other Deliverable) bool { return sameYAML(d.without(), other.without()) }

func (d *Deliverable) changedBy(c change) Deliverable {
	next := *d
	next.History = c.record(next.History)
	return next
}

// sameYAML says if two items are written the same: an empty list and none are.
func sameYAML(a, b any) bool {
	left, err := yaml.Marshal(a)
	if err != nil {
		return false
	}
	right, err := yaml.Marshal(b)
	return err == nil && bytes.Equal(left, right)
}

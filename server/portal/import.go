package portal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/server/store"
)

type importIn struct {
	Format format `json:"format" jsonschema:"of the text"`
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
	out, err := p.Import(ctx, reader, string(in.Format), in.Text, in.DryRun, progress)
	return nil, out, err
}

// Import adds or replaces items. Nothing is written if any of them is wrong; all
// that is wrong is in the error. An import that was interrupted can be made again:
// what is there already is left as it is.
func (p *Portal) Import(ctx context.Context, r Reader, format, text string, dryRun bool, progress func(done, all int)) (Imported, error) {
	items, err := parse(format, text)
	if err != nil {
		return nothingImported(dryRun), err
	}
	all, err := p.load(ctx)
	if err != nil {
		return nothingImported(dryRun), err
	}
	if err := errors.Join(items.check(all), items.checkTexts()); err != nil {
		return nothingImported(dryRun), err
	}
	c, err := p.newChange(r, "imported")
	if err != nil {
		return nothingImported(dryRun), err
	}
	i := importing{
		portal: p, change: c, total: len(items.Goals) + len(items.Deliverables),
		progress: progress, out: nothingImported(dryRun),
	}
	for _, g := range items.Goals {
		if err := importOne(ctx, &i, g.ID, goalName(g.ID), g, nil); err != nil {
			return i.out, err
		}
	}
	complete := func(d *Deliverable, before Deliverable) {
		if format == formatCSV { // which has no column for them
			d.Links = before.Links
		}
		if d.OwnerID == "" && d.Owner == before.Owner { // the text is of before there were any, or says nothing of it
			d.OwnerID = before.OwnerID
		}
	}
	for _, d := range items.Deliverables {
		if err := importOne(ctx, &i, d.ID, deliverableName(d.ID), d, complete); err != nil {
			return i.out, err
		}
	}
	return i.out, nil
}

func nothingImported(dryRun bool) Imported {
	return Imported{Added: []string{}, Replaced: []string{}, Unchanged: []string{}, DryRun: dryRun}
}

// importing is an import on its way.
type importing struct {
	portal      *Portal
	change      change
	done, total int
	progress    func(done, all int) // nil if nobody wants to know
	out         Imported
}

// item is a goal or a deliverable.
type item[T any] interface {
	*T
	log() *Log
	check() error
	texts(do textFunc)
}

// importOne imports one item, and tells how far the import is. complete gives it
// what the format has no place for; nil if there is nothing.
func importOne[T any, P item[T]](ctx context.Context, i *importing, id, name string, incoming T, complete func(item *T, before T)) error {
	outcome, err := replaceOne[T, P](ctx, i, name, incoming, complete)
	if err != nil {
		return fmt.Errorf("%s: %w; %d of %d were imported: import the same again to go on", id, err, i.done, i.total)
	}
	*outcome = append(*outcome, id)
	if i.done++; i.progress != nil {
		i.progress(i.done, i.total)
	}
	return ctx.Err()
}

// replaceOne puts an item in the place of what is there, until nobody was faster,
// and says which list of the outcome it belongs to.
func replaceOne[T any, P item[T]](ctx context.Context, i *importing, name string, incoming T, complete func(item *T, before T)) (*[]string, error) {
	for range attempts {
		data, version, err := i.portal.Store.Read(ctx, name)
		if err != nil && !errors.Is(err, store.ErrNotExist) {
			return nil, err
		}
		next, kept, outcome, c := incoming, Log{}, &i.out.Added, i.change
		if err == nil {
			outcome = &i.out.Replaced
			// A document that cannot be used is replaced: that is how to mend it.
			if before, err := decodeItem[T](i.portal.Client, data); err == nil {
				if complete != nil {
					complete(&next, *before)
				}
				kept = *P(before).log()
				*P(before).log(), *P(&next).log() = Log{}, Log{}
				fields := differing(next, *before)
				if len(fields) == 0 {
					return &i.out.Unchanged, nil
				}
				c.What += ": " + strings.Join(fields, ", ")
			}
		}
		kept.History = c.record(kept.History)
		*P(&next).log() = kept
		if err := P(&next).check(); err != nil || i.out.DryRun {
			return outcome, err
		}
		if data, err = encode(i.portal.Client, next); err != nil {
			return nil, err
		}
		_, err = i.portal.Store.Write(ctx, name, data, version)
		if err == nil {
			i.portal.changed(ctx, name)
			return outcome, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, errors.New("too many others are changing it")
}

// differing names the fields in which two items are written differently: an empty list
// and none are the same.
func differing[T any](a, b T) []string {
	left, right := fieldsOf(a), fieldsOf(b)
	var names []string
	for name, value := range left {
		if !reflect.DeepEqual(value, right[name]) {
			names = append(names, name)
		}
	}
	for name := range right {
		if _, there := left[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fieldsOf is an item as YAML has it.
func fieldsOf[T any](item T) map[string]any {
	var fields map[string]any
	text, err := yaml.Marshal(item)
	if err == nil {
		err = yaml.Unmarshal(text, &fields)
	}
	if err != nil {
		panic(fmt.Sprintf("writing a %T as YAML: %v", item, err)) // depends on the type alone
	}
	return fields
}

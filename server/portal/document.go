package portal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/server/store"
)

// document is one file of the store, decoded.
type document struct {
	version     store.Version
	goal        *Goal
	deliverable *Deliverable
	claim       *claim
	wrong       error // why it cannot be used
}

// file is a document as it is written. The client is in it so that a file that
// was copied from another client's is not served.
type file[T any] struct {
	Client string `yaml:"client"`
	Item   T      `yaml:",inline"`
}

const (
	goalsFolder        = "goals/"
	deliverablesFolder = "deliverables/"
	claimsFolder       = "claims/"
)

// contents is everything that a store has.
type contents struct {
	goals        []Goal
	deliverables []Deliverable
	claims       map[string]string // ids, by e-mail address
	unreadable   []string
}

// readers is how many documents are read at a time: a bucket answers each after some
// 30 ms, and a new instance has none yet.
const readers = 16

// load reads what has changed since it was read last. A document that cannot be
// used is left out, and said to be.
func (p *Portal) load(ctx context.Context) (contents, error) {
	entries, err := p.Store.List(ctx)
	if err != nil {
		return contents{}, fmt.Errorf("the portal's data cannot be reached for now: %w", err)
	}
	documents, missing := p.remembered(entries)
	reading, readCtx := errgroup.WithContext(ctx)
	reading.SetLimit(readers)
	for _, i := range missing {
		reading.Go(func() (err error) {
			documents[i], err = p.document(readCtx, entries[i])
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return contents{}, fmt.Errorf("the portal's data cannot be reached for now: %w", err)
	}
	all := contents{claims: make(map[string]string)}
	for _, doc := range documents {
		switch {
		case doc.wrong != nil:
			all.unreadable = append(all.unreadable, doc.wrong.Error())
		case doc.goal != nil:
			all.goals = append(all.goals, *doc.goal)
		case doc.deliverable != nil:
			all.deliverables = append(all.deliverables, *doc.deliverable)
		case doc.claim != nil:
			all.claims[doc.claim.Email] = doc.claim.ID
		}
	}
	return all, nil
}

// remembered gives the documents of a list that are in memory at their version, and
// which of the list are missing. It forgets what is not in the list.
func (p *Portal) remembered(entries []store.Entry) (documents []document, missing []int) {
	documents = make([]document, len(entries))
	current := make(map[string]document, len(entries))
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, entry := range entries {
		doc, ok := p.cache[entry.Name]
		if !ok || doc.version != entry.Version {
			missing = append(missing, i)
			continue
		}
		documents[i], current[entry.Name] = doc, doc
	}
	p.cache = current
	return documents, missing
}

// document reads an entry's document, and remembers it. One that went since it was
// listed is empty.
func (p *Portal) document(ctx context.Context, entry store.Entry) (document, error) {
	data, version, err := p.Store.Read(ctx, entry.Name)
	var doc document
	switch {
	case errors.Is(err, store.ErrNotExist):
		return document{}, nil
	case errors.Is(err, store.ErrUnusable):
		doc = document{wrong: err, version: entry.Version}
	case err != nil:
		return document{}, err
	default:
		doc = decode(p.Client, entry.Name, data)
		doc.version = version
	}
	if doc.wrong != nil {
		p.Logger.WarnContext(ctx, "left out data that cannot be used", "store", p.Store.String(), "error", doc.wrong.Error())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cache[entry.Name] = doc
	return doc, nil
}

// decode reads a document to be shown. What is wrong names the file and the field.
func decode(client, name string, data []byte) document {
	var doc document
	var err error
	switch {
	case strings.HasPrefix(name, goalsFolder):
		doc.goal, err = decodeItem[Goal](client, data)
		if err == nil {
			err = errors.Join(doc.goal.check(), nameMatches(name, goalName(doc.goal.ID)))
			escapeTexts(doc.goal)
		}
	case strings.HasPrefix(name, deliverablesFolder):
		doc.deliverable, err = decodeItem[Deliverable](client, data)
		if err == nil {
			err = errors.Join(doc.deliverable.check(), nameMatches(name, deliverableName(doc.deliverable.ID)))
			escapeTexts(doc.deliverable)
		}
	case strings.HasPrefix(name, claimsFolder):
		doc.claim, err = decodeItem[claim](client, data)
		if err == nil {
			err = errors.Join(doc.claim.check(), nameMatches(name, claimName(doc.claim.Email)))
		}
	default:
		err = errors.New("it is neither below goals/ nor below deliverables/")
	}
	if err != nil {
		return document{wrong: fmt.Errorf("%s: %s", plaintext.Line(name), plaintext.Line(oneLine(err)))}
	}
	return doc
}

func decodeItem[T any](client string, data []byte) (*T, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var f file[T]
	if err := decoder.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, err
	}
	if f.Client != client {
		return nil, fmt.Errorf("client: %q: it is another client's, and this is the portal of %s", f.Client, client)
	}
	return &f.Item, nil
}

func nameMatches(name, want string) error {
	if name != want {
		return fmt.Errorf("id: the file of this id is %s", want)
	}
	return nil
}

// encode writes a document.
func encode[T any](client string, item T) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file[T]{Client: client, Item: item}); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

func goalName(id string) string        { return goalsFolder + id + ".yaml" }
func deliverableName(id string) string { return deliverablesFolder + id + ".yaml" }

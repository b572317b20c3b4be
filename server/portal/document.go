package portal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/server/store"
)

// document is one file of the store, decoded.
type document struct {
	version     store.Version
	goal        *Goal
	deliverable *Deliverable
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
)

// contents is everything that a store has.
type contents struct {
	goals        []Goal
	deliverables []Deliverable
	unreadable   []string
}

// load reads what has changed since it was read last. A document that cannot be
// used is left out, and said to be.
func (p *Portal) load(ctx context.Context) (contents, error) {
	entries, err := p.Store.List(ctx)
	if err != nil {
		return contents{}, fmt.Errorf("the portal's data cannot be reached for now: %w", err)
	}
	var all contents
	current := make(map[string]bool, len(entries))
	for _, entry := range entries {
		current[entry.Name] = true
		doc, err := p.document(ctx, entry)
		switch {
		case errors.Is(err, store.ErrNotExist):
			continue // it went since
		case err != nil:
			return contents{}, fmt.Errorf("the portal's data cannot be reached for now: %w", err)
		case doc.wrong != nil:
			all.unreadable = append(all.unreadable, doc.wrong.Error())
		case doc.goal != nil:
			all.goals = append(all.goals, *doc.goal)
		case doc.deliverable != nil:
			all.deliverables = append(all.deliverables, *doc.deliverable)
		}
	}
	p.forget(current)
	return all, nil
}

// document gives an entry's document, from memory if that has its version.
func (p *Portal) document(ctx context.Context, entry store.Entry) (document, error) {
	p.mu.Lock()
	doc, ok := p.cache[entry.Name]
	p.mu.Unlock()
	if ok && doc.version == entry.Version {
		return doc, nil
	}
	data, version, err := p.Store.Read(ctx, entry.Name)
	switch {
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
	p.cache[entry.Name] = doc
	p.mu.Unlock()
	return doc, nil
}

// forget drops what the store has no more.
func (p *Portal) forget(current map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.cache {
		if !current[name] {
			delete(p.cache, name)
		}
	}
}

// decode reads a document. What is wrong names the file and the field.
func decode(client, name string, data []byte) document {
	var doc document
	var err error
	switch {
	case strings.HasPrefix(name, goalsFolder):
		doc.goal, err = decodeItem[Goal](client, data)
		if err == nil {
			err = errors.Join(doc.goal.check(), nameMatches(name, goalName(doc.goal.ID)))
		}
	case strings.HasPrefix(name, deliverablesFolder):
		doc.deliverable, err = decodeItem[Deliverable](client, data)
		if err == nil {
			err = errors.Join(doc.deliverable.check(), nameMatches(name, deliverableName(doc.deliverable.ID)))
		}
	default:
		err = errors.New("it is neither below goals/ nor below deliverables/")
	}
	if err != nil {
		return document{wrong: fmt.Errorf("%s: %s", name, strings.ReplaceAll(err.Error(), "\n", "; "))}
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

package portal

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/server/store"
)

//go:embed data/sample.yaml data/clients/*.yaml
var files embed.FS

// sample is a store of data that came with the server. A client without data of
// its own there has a sample in its name.
type sample struct{ documents map[string][]byte }

func newSample(client string) (*sample, error) {
	raw, err := files.ReadFile("data/clients/" + client + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = files.ReadFile("data/sample.yaml")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the sample of client %q: %w", client, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	var a agreement
	if err := decoder.Decode(&a); err != nil {
		return nil, fmt.Errorf("decoding the sample of client %q: %w", client, err)
	}
	s := &sample{documents: make(map[string][]byte)}
	for _, g := range a.Goals {
		if s.documents[goalName(g.ID)], err = encode(client, g); err != nil {
			return nil, err
		}
	}
	for _, d := range a.Deliverables {
		if s.documents[deliverableName(d.ID)], err = encode(client, d); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *sample) String() string { return "the sample's data" }

// List implements [store.Store].
func (s *sample) List(context.Context) ([]store.Entry, error) {
	var entries []store.Entry
	for _, name := range slices.Sorted(maps.Keys(s.documents)) {
		entries = append(entries, store.Entry{Name: name, Version: "sample"})
	}
	return entries, nil
}

// Read implements [store.Store].
func (s *sample) Read(_ context.Context, name string) ([]byte, store.Version, error) {
	data, ok := s.documents[name]
	if !ok {
		return nil, "", store.ErrNotExist
	}
	return data, "sample", nil
}

// Write implements [store.Store]; it never does.
func (s *sample) Write(context.Context, string, []byte, store.Version) (store.Version, error) {
	return "", store.ErrReadOnly
}

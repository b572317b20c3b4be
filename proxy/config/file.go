// Package config is the file in which a developer keeps the clients that berth-proxy
// serves, and settings of berth-proxy. It knows what a client may be; which settings there
// are, and what they mean, is for package cmd to know.
//
//	port: 3030
//	clients:
//	  acme:
//	    url: https://berth-acme-123456.europe-west1.run.app
//	    access-hint: acme-developers@example.com
//	  globex:
//	    project: my-project
//	    region: europe-west1
//	    service: berth-globex
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/proxy/ownfile"
)

// kind is of files that say where the developer's token goes. A client takes some hundred
// bytes.
var kind = ownfile.Kind{Name: "a configuration", Bytes: 1 << 20, Private: true}

// clientsKey is the one key that is no setting.
const clientsKey = "clients"

// A File is what a configuration file says.
type File struct {
	Name     string    // the file's
	Settings []Setting // in the file's order
	Clients  []Client  // in the file's order; those with problems are left out
}

// A Setting is a value of berth-proxy's own.
type Setting struct {
	Name, Value string
	Line        int
}

// DefaultFile is where the file is if nobody says otherwise: berth/proxy.yaml where the
// system keeps settings, which is ~/.config on Linux.
func DefaultFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the directory for settings: %w: set it, or name the file with --config", err)
	}
	return filepath.Join(dir, "berth", "proxy.yaml"), nil
}

// Read reads a file. One that is not there is empty. The error tells every problem, each
// with its line; what has none comes with it.
func Read(name string) (File, error) {
	content, err := load(name)
	if err != nil {
		return File{Name: name}, err
	}
	_, file, err := parse(name, content)
	return file, err
}

// load returns nil for a file that is not there.
func load(name string) ([]byte, error) {
	content, err := kind.Read(name)
	var failed *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &failed):
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return content, err
}

// parse returns the document as it is written, and what it says.
func parse(name string, content []byte) (*yaml.Node, File, error) {
	file := File{Name: name}
	document, err := decode(content)
	if err != nil {
		return nil, file, fmt.Errorf("%s: %w", name, err)
	}
	p := &parser{file: name}
	for key, value := range p.entries(document.Content[0], "the file") {
		if key.Value != clientsKey {
			if text, ok := p.text(key, value, ""); ok {
				file.Settings = append(file.Settings, Setting{key.Value, text, key.Line})
			}
			continue
		}
		for name, entry := range p.entries(value, clientsKey) {
			if client, ok := p.client(name, entry); ok {
				file.Clients = append(file.Clients, client)
			}
		}
	}
	return document, file, errors.Join(p.problems...)
}

// decode returns a document of one mapping, which is empty for a file without content.
func decode(content []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	document := &yaml.Node{}
	err := decoder.Decode(document)
	switch {
	case errors.Is(err, io.EOF):
		document.Kind, document.Content = yaml.DocumentNode, []*yaml.Node{{Kind: yaml.MappingNode}}
		return document, nil
	case err != nil:
		return nil, fmt.Errorf("%w: correct it", err)
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one YAML document: leave out the lines of three dashes")
	}
	return document, nil
}

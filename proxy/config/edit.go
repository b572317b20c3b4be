package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/lockedfile"
	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/proxy/atomicfile"
)

// mode of the file: it names a company's clients, which are no one else's business.
const mode = 0o600

// ErrExists says that a client of that name is there already, and is another.
var ErrExists = errors.New("a client of that name is there already")

// Add writes a client into the file, which is made if it is not there. A client of the same
// name is replaced if that is asked for; if not, and it differs, the error is ErrExists.
// Comments and all else in the file stay. A file with problems is not changed.
func Add(name string, client Client, replace bool) error {
	return edit(name, func(file File, clients *yaml.Node) error {
		i := slices.IndexFunc(file.Clients, func(c Client) bool { return c.Name == client.Name })
		if i >= 0 && file.Clients[i] != client && !replace {
			return ErrExists
		}
		write(entryOf(clients, client.Name), client)
		return nil
	})
}

// Remove takes clients out of the file. If one of them is not there, the error tells which,
// and the file is not changed.
func Remove(name string, clientNames []string) error {
	return edit(name, func(_ File, clients *yaml.Node) error {
		var missing []error
		for _, client := range clientNames {
			if !drop(clients, client) {
				missing = append(missing, fmt.Errorf("there is no client %q in %s", client, name))
			}
		}
		return errors.Join(missing...)
	})
}

// edit lets change have the mapping of clients, and writes the file if it succeeds. Of
// several programs that edit at once, each finds what the other has written.
func edit(name string, change func(file File, clients *yaml.Node) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("make the directory for the configuration: %w", err)
	}
	unlock, err := lockedfile.MutexAt(name + ".lock").Lock()
	if err != nil {
		return fmt.Errorf("lock the configuration: %w", err)
	}
	defer unlock()

	content, err := load(name)
	if err != nil {
		return err
	}
	document, file, err := parse(name, content)
	if err != nil {
		return err
	}
	if err := change(file, clientsOf(document.Content[0])); err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if err := atomicfile.Write(name, out.Bytes(), mode); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return kind.Check(name) // a new one may be where others can replace it
}

// clientsOf returns the mapping of clients, which is made if there is none.
func clientsOf(root *yaml.Node) *yaml.Node {
	root.Kind, root.Tag = yaml.MappingNode, "" // it may have been null
	clients := valueOf(root, clientsKey)
	if clients == nil {
		clients = &yaml.Node{}
		root.Content = append(root.Content, textNode(clientsKey), clients)
	}
	if clients.Kind != yaml.MappingNode {
		clients.Kind, clients.Tag, clients.Value = yaml.MappingNode, "", ""
	}
	if len(clients.Content) == 0 {
		clients.Style = 0 // {} is what removing the last one leaves
	}
	return clients
}

func entryOf(clients *yaml.Node, name string) *yaml.Node {
	entry := valueOf(clients, name)
	if entry == nil {
		entry = &yaml.Node{Kind: yaml.MappingNode}
		clients.Content = append(clients.Content, textNode(name), entry)
	}
	return entry
}

// write makes an entry say what the client is, and leaves alone what says so already.
func write(entry *yaml.Node, client Client) {
	for _, f := range fields {
		value, node := *f.of(&client), valueOf(entry, f.key)
		switch {
		case value == "":
			drop(entry, f.key)
		case node == nil:
			entry.Content = append(entry.Content, textNode(f.key), textNode(value))
		case node.Value != value:
			node.SetString(value)
		}
	}
}

func drop(mapping *yaml.Node, key string) bool {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = slices.Delete(mapping.Content, i, i+2)
			return true
		}
	}
	return false
}

func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func textNode(text string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(text)
	return node
}

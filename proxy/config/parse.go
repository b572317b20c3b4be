package config

import (
	"fmt"
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A parser collects the problems of a file. It reads the nodes itself, as a decoder would
// stop at the first problem and let some pass.
type parser struct {
	file     string
	problems []error
}

func (p *parser) problem(at *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("%s:%d: %w", p.file, at.Line, fmt.Errorf(format, args...)))
}

// entries are the keys and values of a mapping, or of nothing at all.
func (p *parser) entries(node *yaml.Node, what string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if isNull(node) {
			return
		}
		if node.Kind != yaml.MappingNode {
			p.problem(node, "%s must be names with values, as in `acme:`", what)
			return
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			switch {
			case key.Kind != yaml.ScalarNode || isNull(key):
				p.problem(key, "%s has a key that is not a name", what)
			case seen[key.Value]:
				p.problem(key, "%q is there twice: leave one out", key.Value)
			default:
				seen[key.Value] = true
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// text is the value of a key that has one line of text, a number or a truth value.
func (p *parser) text(key, value *yaml.Node, whose string) (string, bool) {
	switch {
	case isNull(value) || value.Kind == yaml.ScalarNode && value.Value == "":
		p.problem(key, "%s%s has no value: give one, or leave the line out", whose, key.Value)
	case value.Kind != yaml.ScalarNode:
		p.problem(key, "%s%s must be a single value", whose, key.Value)
	default:
		return value.Value, true
	}
	return "", false
}

func (p *parser) client(name, entry *yaml.Node) (Client, bool) {
	before := len(p.problems)
	client := Client{Name: name.Value}
	whose := fmt.Sprintf("client %q: ", name.Value)
	for key, value := range p.entries(entry, strings.TrimSuffix(whose, ": ")) {
		f, known := fieldOf(key.Value)
		if !known {
			p.problem(key, "%sthere is no setting %q: use %s", whose, key.Value, fieldNames())
			continue
		}
		if text, ok := p.text(key, value, whose); ok {
			*f.of(&client) = text
		}
	}
	if len(p.problems) > before {
		return client, false // what is missing may be what could not be read
	}
	for _, err := range client.Check() {
		p.problem(name, "%s%w", whose, err)
	}
	return client, len(p.problems) == before
}

func fieldOf(key string) (field, bool) {
	for _, f := range fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func fieldNames() string {
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	last := len(keys) - 1
	return strings.Join(keys[:last], ", ") + " or " + keys[last]
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Tag == "!!null"
}

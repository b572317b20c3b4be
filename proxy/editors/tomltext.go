package editors

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A tomlText is a parsed file as its lines.
type tomlText struct {
	text   []byte
	blocks []tomlBlock
}

// A tomlBlock is a header, a key with its value or a comment, from the start of its first
// line to the end of its last.
type tomlBlock struct {
	kind       unstable.Kind
	table      []string // that the block stands in, or begins
	key        []string // of a value, below table
	start, end int
	value      unstable.Range // of a string
}

// header reports whether the block begins a table.
func (b tomlBlock) header() bool {
	return b.kind == unstable.Table || b.kind == unstable.ArrayTable
}

// path is the full name of a table or value.
func (b tomlBlock) path() []string { return slices.Concat(b.table, b.key) }

// within reports whether the block is a table or value at or below a path.
func (b tomlBlock) within(path []string) bool {
	full := b.path()
	return b.kind != unstable.Comment && len(full) >= len(path) && slices.Equal(full[:len(path)], path)
}

// decodeTOML checks the whole file, as the parser of expressions alone would not see that
// a key is there twice.
func decodeTOML(text []byte) (map[string]any, error) {
	var all map[string]any
	err := toml.Unmarshal(text, &all)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, column := at.Position()
		return nil, fmt.Errorf("line %d, column %d: %s", row, column, strings.TrimPrefix(at.Error(), "toml: "))
	}
	return all, err
}

func parseTOML(text []byte) (tomlText, error) {
	t, err := splitTOML(text)
	if _, invalid := decodeTOML(text); invalid != nil {
		if err == nil && !strings.HasPrefix(invalid.Error(), "line ") {
			invalid = fmt.Errorf("%s: %s", t.firstInvalid(), strings.TrimPrefix(invalid.Error(), "toml: "))
		}
		return tomlText{}, invalid
	}
	return t, err
}

// firstInvalid names the line up to which the file is valid. The library does not say
// where a key is for the second time.
func (t tomlText) firstInvalid() string {
	i := sort.Search(len(t.blocks)-1, func(i int) bool {
		_, err := decodeTOML(t.text[:t.blocks[i].end])
		return err != nil
	})
	start := t.blocks[i].start // blocks begin with their line
	return lineOf(t.text, start) + ", column 1"
}

// splitTOML finds the blocks of a file.
func splitTOML(text []byte) (tomlText, error) {
	t := tomlText{text: text}
	parser := unstable.Parser{KeepComments: true}
	parser.Reset(text)
	var table []string
	for parser.NextExpression() {
		node := parser.Expression()
		b := tomlBlock{kind: node.Kind, table: table, start: int(node.Raw.Offset)}
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			b.table, b.start = keyOf(node)
			table = b.table
		case unstable.KeyValue:
			b.key, b.start = keyOf(node)
			if node.Value().Kind == unstable.String {
				b.value = node.Value().Raw
			}
		}
		b.start = lineStart(text, b.start)
		t.blocks = append(t.blocks, b)
	}
	if err := parser.Error(); err != nil {
		return tomlText{}, err
	}
	for i := range t.blocks {
		next := len(text)
		if i+1 < len(t.blocks) {
			next = t.blocks[i+1].start
		}
		b := &t.blocks[i]
		b.end = b.start + len(bytes.TrimRight(text[b.start:next], blanks))
		if newline := bytes.IndexByte(text[b.end:next], '\n'); newline >= 0 {
			b.end += newline + 1
		}
	}
	return t, nil
}

// keyOf is the key of an expression, and where it begins.
func keyOf(node *unstable.Node) (key []string, start int) {
	for parts := node.Key(); parts.Next(); {
		part := parts.Node()
		if key == nil {
			start = int(part.Raw.Offset)
		}
		key = append(key, string(part.Data))
	}
	return key, start
}

// header returns where the entry's table begins, and -1 if there is no entry. An entry in
// another form is not for a program to change.
func (t tomlText) header(path []string) (int, error) {
	found := -1
	for i, b := range t.blocks {
		switch inside := b.within(path); {
		case inside && b.kind == unstable.Table && len(b.table) == len(path):
			found = i
		case inside && (len(b.table) < len(path) || b.kind == unstable.ArrayTable),
			(b.kind == unstable.KeyValue || b.kind == unstable.ArrayTable) && len(b.path()) < len(path) && slices.Equal(b.path(), path[:len(b.path())]):
			return 0, fmt.Errorf("%s: %s is not written as a table [%s]: change it by hand", lineOf(t.text, b.start), quote(strings.Join(b.path(), ".")), tomlKey(path))
		}
	}
	if found < 0 && slices.ContainsFunc(t.blocks, func(b tomlBlock) bool { return b.within(path) }) {
		return 0, fmt.Errorf("there are tables below %s and it is none itself: change it by hand", quote(tomlKey(path)))
	}
	return found, nil
}

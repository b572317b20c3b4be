package editors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlFormat is TOML with a table for each server. No library writes TOML and keeps its
// comments, so that the parser tells where the lines of the entry are and only these are
// changed.
type tomlFormat struct{}

func (tomlFormat) set(content []byte, section, name string, members []member) ([]byte, error) {
	mark, text := splitMark(content)
	t, err := parseTOML(text)
	if err != nil {
		return nil, err
	}
	path := []string{section, name}
	at, err := t.header(path)
	if err != nil {
		return nil, err
	}
	if at < 0 {
		text = t.appended(path, members)
	} else {
		text = t.updated(at, path, members)
	}
	if _, err := decodeTOML(text); err != nil {
		return nil, fmt.Errorf("the changed file would not be valid, so that it is left as it was: %w", err)
	}
	return slices.Concat(mark, text), nil
}

// appended returns the text with a new table at its end. It only adds to the text.
func (t tomlText) appended(path []string, members []member) []byte {
	eol := lineEnd(t.text)
	out := bytes.NewBuffer(bytes.Clone(t.text))
	if len(t.text) > 0 && !bytes.HasSuffix(t.text, []byte("\n")) {
		out.WriteString(eol)
	}
	if len(bytes.Trim(t.text, blanks)) > 0 {
		out.WriteString(eol)
	}
	out.WriteString("[" + tomlKey(path) + "]" + eol)
	for _, m := range members {
		out.WriteString(tomlLine(m) + eol)
	}
	return out.Bytes()
}

// updated returns the text with the entry's own keys changed, the new ones right below
// the header.
func (t tomlText) updated(at int, path []string, members []member) []byte {
	var splices []splice
	eol := lineEnd(t.text)
	missing := slices.Clone(members)
	for _, b := range t.blocks {
		if b.kind != unstable.KeyValue || !slices.Equal(b.table, path) || !slices.Contains(entryKeys, b.key[0]) {
			continue
		}
		i := slices.IndexFunc(missing, func(m member) bool { return len(b.key) == 1 && m.key == b.key[0] })
		if i < 0 {
			splices = append(splices, splice{b.start, b.end, ""})
			continue
		}
		m := missing[i]
		missing = slices.Delete(missing, i, i+1)
		switch value, isString := m.value.(string); {
		case t.same(b, m):
		case isString && b.value.Length > 0: // a comment behind it stays
			splices = append(splices, splice{int(b.value.Offset), int(b.value.Offset + b.value.Length), tomlString(value)})
		default:
			splices = append(splices, splice{b.start, b.end, tomlLine(m) + eol})
		}
	}
	var lines strings.Builder
	for _, m := range missing {
		lines.WriteString(tomlLine(m) + eol)
	}
	header := t.blocks[at]
	if text := lines.String(); text != "" {
		if !bytes.HasSuffix(t.text[:header.end], []byte("\n")) {
			text = eol + text
		}
		splices = append(splices, splice{header.end, header.end, text})
	}
	return apply(t.text, splices...)
}

// same reports whether a block has the member's value already.
func (t tomlText) same(b tomlBlock, m member) bool {
	have, err := decodeTOML(bytes.TrimLeft(t.text[b.start:b.end], blanks))
	if err != nil {
		return false
	}
	wanted, err := decodeTOML([]byte(tomlLine(m)))
	return err == nil && fmt.Sprintf("%#v", have) == fmt.Sprintf("%#v", wanted)
}

func (tomlFormat) remove(content []byte, section, name string) ([]byte, error) {
	mark, text := splitMark(content)
	t, err := parseTOML(text)
	if err != nil {
		return nil, err
	}
	path := []string{section, name}
	at, err := t.header(path)
	if at < 0 || err != nil {
		return content, err
	}
	// The tables below the entry may stand anywhere. Comments and empty lines between a
	// table's lines go with it; behind its last line they are about what follows.
	var splices []splice
	for i := 0; i < len(t.blocks); i++ {
		if !t.blocks[i].header() || !t.blocks[i].within(path) {
			continue
		}
		start, end := t.blocks[i].start, t.blocks[i].end
		for i+1 < len(t.blocks) && !t.blocks[i+1].header() {
			i++
			if t.blocks[i].kind == unstable.KeyValue {
				end = t.blocks[i].end
			}
		}
		splices = append(splices, splice{t.emptyLineBefore(start, end), end, ""})
	}
	text = apply(text, splices...)
	if _, err := decodeTOML(text); err != nil {
		return nil, fmt.Errorf("the changed file would not be valid, so that it is left as it was: %w", err)
	}
	return slices.Concat(mark, text), nil
}

// emptyLineBefore is where a table's removal begins: with the empty line that set put in
// front of it, if another empty line or the end of the file comes behind it.
func (t tomlText) emptyLineBefore(start, end int) int {
	rest := bytes.TrimLeft(t.text[end:], " \t\r")
	if len(rest) > 0 && rest[0] != '\n' {
		return start
	}
	for _, empty := range []string{"\n\r\n", "\n\n"} {
		if bytes.HasSuffix(t.text[:start], []byte(empty)) {
			return start - len(empty) + 1
		}
	}
	return start
}

func (tomlFormat) entries(content []byte, section string) ([]entry, error) {
	_, text := splitMark(content)
	if _, err := parseTOML(text); err != nil {
		return nil, err // with the place
	}
	all, err := decodeTOML(text)
	if err != nil {
		return nil, err
	}
	servers, _ := all[section].(map[string]any) // anything else has no servers
	var found []entry
	for name, value := range servers {
		members, _ := value.(map[string]any)
		found = append(found, entry{name, members})
	}
	slices.SortFunc(found, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return found, nil
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func tomlKey(path []string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		parts[i] = part
		if !bareKey.MatchString(part) {
			parts[i] = tomlString(part)
		}
	}
	return strings.Join(parts, ".")
}

func tomlLine(m member) string {
	switch v := m.value.(type) {
	case string:
		return m.key + " = " + tomlString(v)
	case []string:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = tomlString(word)
		}
		return m.key + " = [" + strings.Join(words, ", ") + "]"
	}
	panic(fmt.Sprintf("no TOML for a %T", m.value)) // not one of member's
}

// tomlString writes a basic string. JSON's escapes are TOML's too, except that JSON leaves
// DEL as it is.
func tomlString(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string can be encoded
	return strings.ReplaceAll(strings.TrimSuffix(out.String(), "\n"), "\x7f", `\u007f`)
}

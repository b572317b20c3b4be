package editors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// jsonFormat is JSON as editors read it, with comments and trailing commas.
type jsonFormat struct{}

// A jsonText is a parsed file. Its tree is asked only where things are: changes are made
// to the text, so that all else stays as it was typed.
type jsonText struct {
	text []byte
	root *hujson.Value
}

func parseJSON(text []byte) (jsonText, error) {
	root, err := hujson.Parse(bytes.Clone(text))
	if err != nil {
		return jsonText{}, errors.New(strings.TrimPrefix(err.Error(), "hujson: "))
	}
	return jsonText{text, &root}, nil
}

// object returns a value that must be an object.
func (j jsonText) object(v *hujson.Value, what string) (*hujson.Object, error) {
	object, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil, fmt.Errorf("%s: %s is not an object", lineOf(j.text, v.StartOffset), what)
	}
	return object, nil
}

// find returns the member of an object with a name; nil if there is none. Of two with that
// name an editor sees one, and it is not said which: that is an error.
func (j jsonText) find(object *hujson.Object, name string) (*hujson.ObjectMember, error) {
	var found *hujson.ObjectMember
	for i := range object.Members {
		m := &object.Members[i]
		if literal, _ := m.Name.Value.(hujson.Literal); literal.String() != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s: %s is there a second time: remove one of the two", lineOf(j.text, m.Name.StartOffset), quote(name))
		}
		found = m
	}
	return found, nil
}

// lookup returns the section and the entry in it, either nil if not there.
func (j jsonText) lookup(section, name string) (servers *hujson.Value, e *hujson.ObjectMember, err error) {
	root, err := j.object(j.root, "the file")
	if err != nil {
		return nil, nil, err
	}
	m, err := j.find(root, section)
	if m == nil || err != nil {
		return nil, nil, err
	}
	object, err := j.object(&m.Value, quote(section))
	if err != nil {
		return nil, nil, err
	}
	e, err = j.find(object, name)
	return &m.Value, e, err
}

func (jsonFormat) set(content []byte, section, name string, members []member) ([]byte, error) {
	mark, text := splitMark(content)
	if len(bytes.Trim(text, blanks)) == 0 {
		text = []byte("{}\n")
	}
	j, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	servers, e, err := j.lookup(section, name)
	switch {
	case err != nil:
		return nil, err
	case servers == nil:
		text = j.insert(j.root, section, []member{{name, members}})
	case e == nil:
		text = j.insert(servers, name, members)
	default:
		text, err = updateJSON(j, section, name, members)
	}
	return slices.Concat(mark, text), err
}

// updateJSON changes the members of an entry that is there, one after the other.
func updateJSON(j jsonText, section, name string, members []member) (_ []byte, err error) {
	for _, key := range entryKeys {
		wanted := slices.IndexFunc(members, func(m member) bool { return m.key == key })
		_, e, err := j.lookup(section, name)
		if err != nil {
			return nil, err
		}
		object, isObject := e.Value.Value.(*hujson.Object)
		if !isObject { // nothing of it can be kept
			v := e.Value
			return apply(j.text, splice{v.StartOffset, v.EndOffset, renderJSON(members, j.layout(lineIndent(j.text, v.StartOffset)))}), nil
		}
		there, err := j.find(object, key)
		if err != nil {
			return nil, err
		}
		switch {
		case wanted < 0 && there == nil:
			continue
		case wanted < 0:
			j.text = j.cut(object, there)
		case there == nil:
			j.text = j.insert(&e.Value, key, members[wanted].value)
		case !sameJSON(there.Value, members[wanted].value):
			j.text = apply(j.text, splice{there.Value.StartOffset, there.Value.EndOffset, renderJSON(members[wanted].value, layout{})})
		}
		if j, err = parseJSON(j.text); err != nil {
			return nil, fmt.Errorf("the changed file would not be valid: %w", err)
		}
	}
	return j.text, nil
}

func (jsonFormat) remove(content []byte, section, name string) ([]byte, error) {
	mark, text := splitMark(content)
	if len(bytes.Trim(text, blanks)) == 0 {
		return content, nil
	}
	j, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	servers, e, err := j.lookup(section, name)
	if e == nil || err != nil {
		return content, err
	}
	object, err := j.object(servers, quote(section))
	if err != nil {
		return nil, err
	}
	return slices.Concat(mark, j.cut(object, e)), nil
}

func (jsonFormat) entries(content []byte, section string) ([]entry, error) {
	_, text := splitMark(content)
	if len(bytes.Trim(text, blanks)) == 0 {
		return nil, nil
	}
	j, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	servers, _, err := j.lookup(section, "")
	if servers == nil || err != nil {
		return nil, err
	}
	standard := servers.Clone()
	standard.Standardize()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(standard.Pack(), &raw); err != nil {
		return nil, err
	}
	var found []entry
	for name, value := range raw {
		e := entry{name: name}
		_ = json.Unmarshal(value, &e.members) // not an object: no members
		found = append(found, e)
	}
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

func sameJSON(v hujson.Value, want any) bool {
	v = v.Clone()
	v.Minimize()
	packed, err := json.Marshal(want)
	var have, wanted any
	return err == nil && json.Unmarshal(v.Pack(), &have) == nil && json.Unmarshal(packed, &wanted) == nil &&
		fmt.Sprintf("%#v", have) == fmt.Sprintf("%#v", wanted)
}

// insert returns the text with a new last member in an object. It only adds to the text.
func (j jsonText) insert(v *hujson.Value, name string, value any) []byte {
	object := v.Value.(*hujson.Object)
	eol, outer := lineEnd(j.text), lineIndent(j.text, v.StartOffset)
	indent := outer + j.unit()
	oneLine := len(object.Members) > 0 && !bytes.Contains(j.text[v.StartOffset:v.EndOffset], []byte("\n"))
	if len(object.Members) > 0 && !oneLine {
		first := object.Members[0].Name.StartOffset
		if before := j.text[lineStart(j.text, first):first]; len(bytes.Trim(before, " \t")) == 0 {
			indent = string(before)
		}
	}
	text := eol + indent + string(hujson.String(name)) + ": " + renderJSON(value, j.layout(indent))
	if oneLine {
		text = " " + string(hujson.String(name)) + ": " + renderJSON(value, layout{})
	}

	closing := v.EndOffset - 1 // of the brace
	if len(object.Members) == 0 {
		rest := j.text[v.StartOffset+1 : closing]
		if at := bytes.TrimRight(rest, blanks); bytes.Contains(rest[len(at):], []byte("\n")) {
			place := v.StartOffset + 1 + len(at)
			return apply(j.text, splice{place, place, text})
		}
		return apply(j.text, splice{closing, closing, text + eol + outer})
	}
	last := object.Members[len(object.Members)-1].Value
	comma := last.EndOffset + len(last.AfterExtra)
	separator := splice{last.EndOffset, last.EndOffset, ","}
	after := last.EndOffset
	if j.text[comma] == ',' {
		separator = splice{}
		after = comma + 1
		text += ","
	}
	place := after + len(bytes.TrimRight(j.text[after:closing], blanks))
	return apply(j.text, separator, splice{place, place, text})
}

// cut returns the text without a member of an object, and without the line that it had to
// itself. Comments around it stay.
func (j jsonText) cut(object *hujson.Object, m *hujson.ObjectMember) []byte {
	start, end := m.Name.StartOffset, m.Value.EndOffset
	var splices []splice
	if comma := end + len(m.Value.AfterExtra); j.text[comma] == ',' {
		splices = append(splices, splice{start: comma, end: comma + 1})
		if len(bytes.Trim(j.text[end:comma], blanks)) == 0 {
			splices, end = nil, comma+1
		}
	} else if i := slices.IndexFunc(object.Members, func(o hujson.ObjectMember) bool { return o.Name.StartOffset == start }); i > 0 {
		before := object.Members[i-1].Value
		comma := before.EndOffset + len(before.AfterExtra)
		splices = append(splices, splice{start: comma, end: comma + 1})
	}
	begin := len(bytes.TrimRight(j.text[:start], " \t"))
	rest := bytes.TrimLeft(j.text[end:], " \t")
	alone := begin > 0 && j.text[begin-1] == '\n' && (bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n")))
	if alone {
		start, end = begin, len(j.text)-len(rest)+bytes.IndexByte(rest, '\n')+1
	}
	return apply(j.text, append(splices, splice{start: start, end: end})...)
}

func (j jsonText) layout(indent string) layout {
	return layout{lineEnd(j.text), indent, j.unit()}
}

// unit is the indent of one level in the file.
func (j jsonText) unit() string {
	if root, ok := j.root.Value.(*hujson.Object); ok && len(root.Members) > 0 {
		if indent := lineIndent(j.text, root.Members[0].Name.StartOffset); indent != "" {
			return indent
		}
	}
	return "  "
}

// A layout is how nested members are written: each on a line of its own, or, with the
// zero layout, all on one.
type layout struct{ eol, indent, unit string }

func (l layout) deeper() layout { return layout{l.eol, l.indent + l.unit, l.unit} }

// renderJSON writes a string, a list of strings or members.
func renderJSON(value any, l layout) string {
	switch v := value.(type) {
	case string:
		return string(hujson.String(v))
	case []string:
		var words []string
		for _, word := range v {
			words = append(words, string(hujson.String(word)))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case []member:
		inside, between := l.deeper(), ","
		if l == (layout{}) {
			between = ", "
		}
		var parts []string
		for _, m := range v {
			parts = append(parts, inside.eol+inside.indent+string(hujson.String(m.key))+": "+renderJSON(m.value, inside))
		}
		return "{" + strings.Join(parts, between) + l.eol + l.indent + "}"
	}
	panic(fmt.Sprintf("no JSON for a %T", value)) // not one of member's
}

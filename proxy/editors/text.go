package editors

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// A format reads and changes the servers in one kind of configuration file. Whatever is
// not the named entry stays as it is, byte for byte. Content that is empty is a file that
// is not there. An error of content that is not valid names line and column.
type format interface {
	// set makes the entry have the members, and none of the other entryKeys.
	set(content []byte, section, name string, members []member) ([]byte, error)
	// remove takes the entry out, if it is there.
	remove(content []byte, section, name string) ([]byte, error)
	// entries returns all entries as they are in the file, sorted by name. One that is
	// not an object has no members.
	entries(content []byte, section string) ([]entry, error)
}

// An entry is a server in a file.
type entry struct {
	name    string
	members map[string]any // as encoding/json decodes them
}

func (e entry) text(key string) string {
	s, _ := e.members[key].(string)
	return s
}

// A splice replaces the bytes from start to end.
type splice struct {
	start, end int
	text       string
}

// apply makes all splices, which do not overlap, in the order of their places. Those of
// one place stay in their order.
func apply(content []byte, splices ...splice) []byte {
	slices.SortStableFunc(splices, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	var out bytes.Buffer
	at := 0
	for _, s := range splices {
		out.Write(content[at:s.start])
		out.WriteString(s.text)
		at = s.end
	}
	out.Write(content[at:])
	return out.Bytes()
}

const blanks = " \t\r\n"

// lineStart is the offset of the first byte of the line that an offset is in.
func lineStart(text []byte, offset int) int {
	return bytes.LastIndexByte(text[:offset], '\n') + 1
}

// lineIndent is the white space that the line of an offset begins with.
func lineIndent(text []byte, offset int) string {
	line := text[lineStart(text, offset):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// lineEnd is how lines end in a file.
func lineEnd(text []byte) string {
	if bytes.Contains(text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

var byteOrderMark = []byte("\ufeff")

// splitMark takes the mark that some editors on Windows write in front of a text off it.
func splitMark(content []byte) (mark, text []byte) {
	if text, found := bytes.CutPrefix(content, byteOrderMark); found {
		return byteOrderMark, text
	}
	return nil, content
}

// lineOf names the line of an offset, from 1.
func lineOf(text []byte, offset int) string {
	return fmt.Sprintf("line %d", bytes.Count(text[:offset], []byte("\n"))+1)
}

// quote is a name for an error: it is shown as one word, whatever is in it.
func quote(s string) string { return strconv.Quote(s) }

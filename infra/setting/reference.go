package setting

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Reference is the documentation of a table of keys: a Markdown table, in which
// the fields of an object follow it.
func Reference(keys []Key) string {
	var b strings.Builder
	b.WriteString("| key | type | default | |\n|---|---|---|---|\n")
	rows(&b, namespace, keys)
	return b.String()
}

func rows(b *strings.Builder, prefix string, keys []Key) {
	for _, k := range keys {
		name := prefix + k.Name
		switch {
		case k.Entries:
			name += ".NAME"
		case k.Type == "array" && k.Fields != nil:
			name += "[]"
		}
		byDefault := shownDefault(k.Default)
		if len(k.Fields) > 0 { // they say it themselves
			byDefault = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, k.Type, byDefault, strings.ReplaceAll(k.Description, "|", "\\|"))
		rows(b, name+".", k.Fields)
	}
}

func shownDefault(value any) string {
	encoded := asJSON(value)
	switch encoded {
	case `""`, "[]", "{}", "null":
		return ""
	}
	if text, ok := value.(string); ok {
		encoded = text
	}
	return "`" + encoded + "`"
}

// Declaration is the table as the section "config" of Pulumi.yaml holds it.
func Declaration(keys []Key) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "  berth:%s:\n    type: %s\n", k.Name, k.Type)
		if k.Type == "array" {
			items := "string"
			if k.Fields != nil {
				items = "object"
			}
			fmt.Fprintf(&b, "    items:\n      type: %s\n", items)
		}
		byDefault := asJSON(k.Default) // JSON is YAML
		if k.Type == "object" {
			byDefault = "{}" // the program knows what its fields are by default
		}
		fmt.Fprintf(&b, "    default: %s\n    description: %s\n", byDefault, asJSON(k.Description))
	}
	return b.String()
}

func asJSON(value any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("setting: the default %v of a key cannot be shown: %v", value, err))
	}
	return strings.TrimSpace(b.String())
}

// Between puts text between the lines begin and end of a file's content.
func Between(content, begin, end, text string) (string, error) {
	before, rest, found := strings.Cut(content, begin+"\n")
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("there are no lines %q and %q", begin, end)
	}
	return before + begin + "\n" + text + end + after, nil
}

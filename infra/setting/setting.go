// Package setting reads a stack's settings, the namespace "berth" of its
// configuration, by a table of keys: types, defaults and descriptions in one
// place, and all problems reported together.
//
// It knows what a setting is, and nothing of what any of them means.
package setting

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

// Key is one setting, as Pulumi.yaml declares it in the namespace "berth".
// Pulumi.yaml and the tables of keys say the same; a test holds them together.
type Key struct {
	Name        string
	Type        string // Pulumi's: string, integer, boolean, array (of strings, or of objects) or object
	Default     any    // string, int, bool, []string, []any or map[string]any
	Description string
	// Fields are an object's own settings, for the reference. Entries says that
	// the object holds many such, each under a name of the operator's choice.
	Fields  []Key
	Entries bool
}

// Kind is the setting that says which program a stack runs. Every table has it.
var Kind = Key{
	Name: "kind", Type: "string", Default: "client",
	Description: "What the stack is: client, one client's server; or project, what all clients in a Google Cloud project share.",
}

// KindOf gives the stack's kind, as it is written.
func KindOf(ctx *pulumi.Context) string {
	return (&Reader{raw: config.New(ctx, "berth").Get, keys: []Key{Kind}}).Text(Kind.Name)
}

// namespace is that of all settings.
const namespace = "berth:"

// Reader reads settings and collects what is wrong with them.
type Reader struct {
	stack    string
	raw      func(key string) string // what is set, or empty
	secret   func(key string) bool
	written  map[string]any // the stack's own file, by full name
	keys     []Key
	problems []error
}

// NewReader reads the settings of a stack that has these keys. What else is set in
// the namespace is a problem at once: a misspelt setting would do nothing, unseen.
func NewReader(ctx *pulumi.Context, keys []Key) *Reader {
	file, err := written(ctx)
	r := &Reader{
		stack:   ctx.Stack(),
		raw:     config.New(ctx, "berth").Get,
		secret:  func(key string) bool { return ctx.IsConfigSecret(namespace + key) },
		written: file,
		keys:    keys,
	}
	if err != nil {
		r.Add(err)
	} else {
		r.Add(unknown(ctx, keys, file)...)
	}
	return r
}

// Defaults reads the settings of a stack that has these keys and sets none.
func Defaults(keys []Key) *Reader {
	return &Reader{
		raw:    func(string) string { return "" },
		secret: func(string) bool { return false },
		keys:   keys,
	}
}

// Secret says if a setting, or a part of it, is encrypted in the stack's file.
func (r *Reader) Secret(key string) bool { return r.secret(key) }

// InTheClear says if the stack's file has a part of a setting, by the names of its
// fields, as plain text. Pulumi itself says only that some part is encrypted.
func (r *Reader) InTheClear(key string, fields ...string) bool {
	value := r.written[namespace+key]
	for _, field := range fields {
		object, _ := value.(map[string]any)
		value = object[field]
	}
	_, object := value.(map[string]any)
	return value != nil && !object
}

// Text gives a setting of type string.
func (r *Reader) Text(key string) string {
	if raw := r.raw(key); raw != "" {
		return raw
	}
	return r.defaultOf(key).(string)
}

// Integer gives a setting of type integer.
func (r *Reader) Integer(key string) int { return read[int](r, key) }

// Boolean gives a setting of type boolean.
func (r *Reader) Boolean(key string) bool { return read[bool](r, key) }

// List gives a setting of type array, of strings.
func (r *Reader) List(key string) []string { return read[[]string](r, key) }

// Object gives a setting of type object, or array of objects, as a T: a struct, or a
// slice or map of structs, whose fields have the tag json:"name". What a stack leaves out of
// an object is as the key's default says.
func Object[T any](r *Reader, key string) T { return read[T](r, key) }

func read[T any](r *Reader, key string) T {
	byDefault := func() (value T) {
		encoded, err := json.Marshal(r.defaultOf(key))
		if err == nil {
			err = json.Unmarshal(encoded, &value)
		}
		if err != nil {
			panic(fmt.Sprintf("setting: the default of %s is not a %T: %v", key, value, err))
		}
		return value
	}
	raw, value := r.raw(key), byDefault()
	if raw == "" {
		return value
	}
	given, err := parse(raw)
	if err != nil {
		r.Add(Problem(key, r.shown(key, raw), "is not %s", typeName(reflect.TypeFor[T]())))
		return value
	}
	shown := func(v any) any { return r.shown(key, v) }
	if found := misfits(key, given, reflect.TypeFor[T](), shown); len(found) > 0 {
		r.Add(found...)
		return value
	}
	// A second decoding into what the default gave: what is not given stays.
	if err := json.Unmarshal([]byte(raw), &value); err != nil {
		r.Add(Problem(key, r.shown(key, raw), "cannot be read: %v", err))
		return byDefault()
	}
	return value
}

// Add reports problems.
func (r *Reader) Add(problems ...error) { r.problems = append(r.problems, problems...) }

// Err is everything that was reported, or nil.
func (r *Reader) Err() error { return Join("the configuration of stack "+r.stack, r.problems) }

// Join makes one error of all that is wrong with something, or nil.
func Join(what string, problems []error) error {
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%s has problems, and nothing was changed:\n%w", what, err)
	}
	return nil
}

// shown is a value as an error may show it.
func (r *Reader) shown(key string, raw any) any { return shown(r.secret(key), raw) }

func shown(secret bool, raw any) any {
	if secret {
		return "[secret]"
	}
	return raw
}

func (r *Reader) defaultOf(key string) any {
	if i := slices.IndexFunc(r.keys, func(k Key) bool { return k.Name == key }); i >= 0 {
		return r.keys[i].Default
	}
	panic("setting: no such key in the stack's table: " + key)
}

// Problem is one thing wrong with the configuration: the key and the value as
// the person wrote them, and what to do.
func Problem(key string, value any, format string, args ...any) error {
	if !strings.Contains(key, ":") {
		key = namespace + key
	}
	return fmt.Errorf("  %s: %q %s", key, fmt.Sprint(value), fmt.Sprintf(format, args...))
}

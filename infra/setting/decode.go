package setting

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
)

// parse reads a setting's value, which Pulumi hands over as JSON. Numbers stay
// as they are written, so that an error can show them so.
func parse(raw string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

// misfits compares a value with the type that it is to have, and reports at its
// path, like budget.amount or sidecars[0].image, each value of another type and
// each unknown field. The decoder of the standard library stops at the first, and
// takes a field in any capitals.
func misfits(path string, value any, t reflect.Type, shown func(any) any) []error {
	wrong := []error{Problem(path, shown(value), "is not %s", typeName(t))}
	switch t.Kind() {
	case reflect.Pointer:
		return misfits(path, value, t.Elem(), shown)
	case reflect.Struct:
		given, ok := value.(map[string]any)
		if !ok {
			return wrong
		}
		return fieldMisfits(path, given, t, shown)
	case reflect.Map:
		given, ok := value.(map[string]any)
		if !ok {
			return wrong
		}
		var found []error
		for _, name := range slices.Sorted(maps.Keys(given)) {
			found = append(found, misfits(path+"."+name, given[name], t.Elem(), shown)...)
		}
		return found
	case reflect.Slice:
		given, ok := value.([]any)
		if !ok {
			return wrong
		}
		var found []error
		for i, element := range given {
			found = append(found, misfits(fmt.Sprintf("%s[%d]", path, i), element, t.Elem(), shown)...)
		}
		return found
	}
	if !fits(value, t.Kind()) {
		return wrong
	}
	return nil
}

func fieldMisfits(path string, given map[string]any, t reflect.Type, shown func(any) any) []error {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = f.Type
		}
	}
	var found []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if of, known := fields[name]; known {
			found = append(found, misfits(path+"."+name, given[name], of, shown)...)
			continue
		}
		found = append(found, Problem(path+"."+name, shown(given[name]), "is not a field there; %s",
			Instead(name, slices.Sorted(maps.Keys(fields)))))
	}
	return found
}

func fits(value any, kind reflect.Kind) bool {
	switch kind {
	case reflect.String:
		_, ok := value.(string)
		return ok
	case reflect.Bool:
		_, ok := value.(bool)
		return ok
	}
	number, ok := value.(json.Number)
	if !ok {
		return false
	}
	if kind == reflect.Int {
		_, err := strconv.ParseInt(number.String(), 10, 32)
		return err == nil
	}
	float, err := number.Float64()
	return err == nil && !math.IsInf(float, 0)
}

// typeName is what a person would call a type that settings may have.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct, reflect.Map:
		return "a set of fields; write one a line, indented: its name, a colon, its value"
	case reflect.Slice:
		return "a list; write one entry a line, each after a hyphen"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text; put it in quotes"
	default:
		panic(fmt.Sprintf("setting: a setting cannot be a %s", t))
	}
}

// nearEnough is how many letters may be off for a name to be somebody's typing
// error.
const nearEnough = 3

// Instead says what could have been meant by a name that is unknown.
func Instead(name string, known []string) string {
	best, distance := "", nearEnough+1
	for _, k := range known {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(k), nil); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "there are: " + strings.Join(known, ", ")
}

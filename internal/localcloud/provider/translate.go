package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// body is the JSON that the API wants for props, which must be known.
func (t *resourceType) body(props resource.PropertyMap) (map[string]any, error) {
	body := map[string]any{}
	for _, name := range t.inputs.names() {
		v, given := props[resource.PropertyKey(name)]
		if !given || t.traits[name].place != inBody || t.traits[name].apart || t.managesAside(name) {
			continue
		}
		if err := putAPI(t.traits, name, name, t.inputs.props[name].schema, v, body); err != nil {
			return nil, err
		}
	}
	if t.labelled {
		body[labels] = objectAt(props, effectiveLabels).Mappable()
	}
	if t.annotated {
		body[annotations] = objectAt(props, effectiveAnnotations).Mappable()
	}
	return body, nil
}

// managesAside tells the properties that labels.go looks after.
func (t *resourceType) managesAside(name string) bool {
	switch name {
	case labels, pulumiLabels, effectiveLabels:
		return t.labelled
	case annotations, effectiveAnnotations:
		return t.annotated
	default:
		return false
	}
}

func putAPI(t traits, path, name string, s *schema, v resource.PropertyValue, into map[string]any) error {
	tr := t[path]
	if tr.outputOnly {
		return nil
	}
	value, err := toAPI(t, path, s, v)
	if err != nil {
		return err
	}
	switch tr.form {
	case listOfOne:
		value = []any{value}
	case oneOfList:
		list := value.([]any)
		if len(list) == 0 {
			return nil
		}
		value = list[0]
	case mapByKey:
		keyed := map[string]any{}
		for _, e := range value.([]any) {
			keyed[fmt.Sprint(e.(map[string]any)[tr.key])] = e
		}
		value = keyed
	}
	into[t.apiNameOf(path, name)] = value
	return nil
}

func toAPI(t traits, path string, s *schema, v resource.PropertyValue) (any, error) {
	switch {
	case v.IsNumber() && s.kind == integerKind:
		return int64(v.NumberValue()), nil
	case v.IsBool(), v.IsNumber(), v.IsString():
		return v.V, nil
	case v.IsArray():
		list := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			var err error
			if list[i], err = toAPI(t, element(path), s.elem, e); err != nil {
				return nil, err
			}
		}
		return list, nil
	case v.IsObject() && s.kind == mapKind:
		return v.ObjectValue().Mappable(), nil
	case v.IsObject():
		object := map[string]any{}
		for _, name := range s.names() {
			if prop, given := v.ObjectValue()[resource.PropertyKey(name)]; given {
				if err := putAPI(t, child(path, name), name, s.props[name].schema, prop, object); err != nil {
					return nil, err
				}
			}
		}
		return object, nil
	default:
		return nil, fmt.Errorf("%s is not known when the API is called", path)
	}
}

// state is what Pulumi keeps of the API's object. before is what was wanted or
// known: it gives the properties that the API does not hold.
func (t *resourceType) state(object map[string]any, identity, before resource.PropertyMap) resource.PropertyMap {
	state := resource.PropertyMap{}
	for _, name := range t.outputs.names() {
		key := resource.PropertyKey(name)
		switch t.traits[name].place {
		case inState:
			if v, there := before[key]; there {
				state[key] = v
			} else if fallback := t.traits[name].fallback; fallback != nil {
				state[key] = resource.NewPropertyValue(fallback)
			}
		case inPath:
			if v, there := identity[key]; there {
				state[key] = v
			}
		case inBody:
			if t.managesAside(name) {
				continue
			}
			if v, there := fromAPI(t.traits, name, t.outputs.props[name].schema, object[t.traits.apiNameOf(name, name)]); there {
				state[key] = v
			}
		}
	}
	t.labelsFromAPI(state, before, object)
	if t.complete != nil {
		t.complete(state)
	}
	return state
}

// fromAPI is an API's value in Pulumi's shape; false if there is none. Empty
// objects, lists and maps are none, as to the plugin, where no trait says
// otherwise.
func fromAPI(t traits, path string, s *schema, v any) (resource.PropertyValue, bool) {
	switch tr := t[path]; tr.form {
	case listOfOne:
		list, _ := v.([]any)
		if len(list) == 0 {
			return resource.PropertyValue{}, false
		}
		v = list[0]
	case oneOfList:
		if v != nil {
			v = []any{v}
		}
	case mapByKey:
		v = listByKey(v, tr.key)
	}
	switch v := v.(type) {
	case bool:
		return resource.NewBoolProperty(v), s.kind == boolKind
	case float64:
		if s.kind == stringKind {
			return resource.NewStringProperty(strconv.FormatFloat(v, 'f', -1, 64)), true
		}
		return resource.NewNumberProperty(v), true
	case string:
		if s.kind == integerKind || s.kind == numberKind { // an int64 is a JSON string
			n, err := strconv.ParseFloat(v, 64)
			return resource.NewNumberProperty(n), err == nil
		}
		return resource.NewStringProperty(v), s.kind == stringKind
	case []any:
		return listFromAPI(t, path, s, v)
	case map[string]any:
		return objectFromAPI(t, path, s, v)
	default:
		return resource.PropertyValue{}, false
	}
}

func listFromAPI(t traits, path string, s *schema, list []any) (resource.PropertyValue, bool) {
	if s.kind != listKind {
		return resource.PropertyValue{}, false
	}
	var values []resource.PropertyValue
	for _, e := range list {
		if value, ok := fromAPI(t, element(path), s.elem, e); ok {
			values = append(values, value)
		}
	}
	return resource.NewArrayProperty(values), len(values) > 0
}

func objectFromAPI(t traits, path string, s *schema, object map[string]any) (resource.PropertyValue, bool) {
	result := resource.PropertyMap{}
	switch s.kind {
	case mapKind:
		for k, e := range object {
			if value, ok := fromAPI(t, entry(path), s.elem, e); ok {
				result[resource.PropertyKey(k)] = value
			}
		}
	case objectKind:
		for name, prop := range s.props {
			at := child(path, name)
			if value, ok := fromAPI(t, at, prop.schema, object[t.apiNameOf(at, name)]); ok {
				result[resource.PropertyKey(name)] = value
			} else if t[at].leftOut {
				result[resource.PropertyKey(name)] = resource.NewPropertyValue(t[at].fallback)
			}
		}
	default:
		return resource.PropertyValue{}, false
	}
	return resource.NewObjectProperty(result), len(object) > 0 || t[path].keepEmpty
}

func listByKey(v any, key string) any {
	keyed, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	list := make([]any, 0, len(keyed))
	for k, e := range keyed {
		object := map[string]any{}
		if fields, ok := e.(map[string]any); ok {
			for name, field := range fields {
				object[name] = field
			}
		}
		object[key] = k
		list = append(list, object)
	}
	slices.SortFunc(list, func(a, b any) int {
		return strings.Compare(a.(map[string]any)[key].(string), b.(map[string]any)[key].(string))
	})
	return list
}

// inputsFrom is the program that would give state: before, with what has
// drifted. For an import there is no before, and it is what the state has that
// the API would not have filled in by itself.
func (t *resourceType) inputsFrom(state, before resource.PropertyMap, set settings) resource.PropertyMap {
	drift := diff(t, before, state, set)
	inputs := resource.PropertyMap{}
	merge(inputs, before)
	for _, name := range t.inputs.names() {
		key := resource.PropertyKey(name)
		if len(before) > 0 && !drift.top[name] {
			continue
		}
		if v, there := state[key]; there && !(t.traits[name].computed && !hasKey(before, key)) && !isZero(v) {
			inputs[key] = given(t.traits, name, t.inputs.props[name].schema, v, before[key])
		} else {
			delete(inputs, key)
		}
	}
	return inputs
}

func hasKey(m resource.PropertyMap, k resource.PropertyKey) bool {
	_, ok := m[k]
	return ok
}

// given strips from a state's value what only the API had filled in, unless it
// was in the inputs before.
func given(t traits, path string, s *schema, v, before resource.PropertyValue) resource.PropertyValue {
	switch {
	case s.kind == objectKind && v.IsObject():
		old := resource.PropertyMap{}
		if before.IsObject() {
			old = before.ObjectValue()
		}
		result := resource.PropertyMap{}
		for name, prop := range s.props {
			key := resource.PropertyKey(name)
			at := child(path, name)
			if value, there := v.ObjectValue()[key]; there && (hasKey(old, key) || !t[at].computed) {
				result[key] = given(t, at, prop.schema, value, old[key])
			}
		}
		return resource.NewObjectProperty(result)
	case s.kind == listKind && v.IsArray():
		var old []resource.PropertyValue
		if before.IsArray() {
			old = before.ArrayValue()
		}
		result := make([]resource.PropertyValue, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			var was resource.PropertyValue
			if i < len(old) {
				was = old[i]
			}
			result[i] = given(t, element(path), s.elem, e, was)
		}
		return resource.NewArrayProperty(result)
	default:
		return v
	}
}

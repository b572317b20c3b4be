package provider

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// validation gathers every problem of a resource's inputs. Values that are not
// known yet pass; they are checked again in the update.
type validation struct {
	traits   traits
	failures []*pulumirpc.CheckFailure
}

func validate(t *resourceType, inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	v := validation{traits: t.traits}
	v.object("", "", t.inputs, inputs)
	if t.also != nil {
		t.also(&v, inputs)
	}
	return v.failures
}

func (v *validation) fail(at, format string, args ...any) {
	v.failures = append(v.failures, &pulumirpc.CheckFailure{Property: at, Reason: fmt.Sprintf(format, args...)})
}

// at is where a person finds the value (template.containers[0].image), path
// where its trait is (template.containers[].image).
func (v *validation) value(at, path string, s *schema, value resource.PropertyValue) {
	if isUnknown(value) {
		return
	}
	matches := false
	switch s.kind {
	case boolKind:
		matches = value.IsBool()
	case integerKind:
		matches = value.IsNumber() && value.NumberValue() == math.Trunc(value.NumberValue())
	case numberKind:
		matches = value.IsNumber()
	case stringKind:
		matches = value.IsString()
	case listKind:
		matches = value.IsArray()
	case mapKind, objectKind:
		matches = value.IsObject()
	}
	if !matches {
		v.fail(at, "%s must be a %s, not %s", at, s.kind, kindOf(value))
		return
	}
	switch s.kind {
	case stringKind:
		v.text(at, v.traits[path], value.StringValue())
	case listKind:
		for i, e := range value.ArrayValue() {
			v.value(fmt.Sprintf("%s[%d]", at, i), element(path), s.elem, e)
		}
	case mapKind:
		for _, k := range value.ObjectValue().StableKeys() {
			v.value(fmt.Sprintf("%s[%q]", at, k), entry(path), s.elem, value.ObjectValue()[k])
		}
	case objectKind:
		v.object(at, path, s, value.ObjectValue())
	}
}

func (v *validation) object(at, path string, s *schema, value resource.PropertyMap) {
	for _, k := range value.StableKeys() {
		prop, known := s.props[string(k)]
		if !known {
			v.fail(child(at, string(k)), "%s is not a property of pulumi-gcp %s; here it has %s",
				child(at, string(k)), pluginVersion, strings.Join(s.names(), ", "))
			continue
		}
		v.value(child(at, string(k)), child(path, string(k)), prop.schema, value[k])
	}
	for _, name := range s.names() {
		if _, given := value[resource.PropertyKey(name)]; !given && (s.props[name].required || v.traits[child(path, name)].required) {
			v.fail(child(at, name), "missing required property %s", child(at, name))
		}
	}
}

func (v *validation) text(at string, t trait, value string) {
	if len(t.oneOf) > 0 && !slices.ContainsFunc(t.oneOf, func(o string) bool { return o == value || t.same != nil && t.same(o, value) }) {
		v.fail(at, "%s is %q, expected one of %s", at, value, strings.Join(t.oneOf, ", "))
	}
	if t.match != nil && !t.match.MatchString(value) {
		v.fail(at, "%s is %q, %s", at, value, t.says)
	}
}

// withDefaults is inputs with what the plugin fills in: fallbacks wherever their
// object is given, and the provider's project and region.
func withDefaults(t *resourceType, inputs resource.PropertyMap, set settings) resource.PropertyMap {
	filled := fillObject(t.traits, "", t.inputs, inputs)
	for path, tr := range t.traits {
		key := resource.PropertyKey(path)
		if _, given := filled[key]; !given && tr.config != "" && set.get(tr.config) != "" {
			filled[key] = resource.NewStringProperty(set.get(tr.config))
		}
	}
	return filled
}

func fill(t traits, path string, s *schema, v resource.PropertyValue) resource.PropertyValue {
	switch {
	case s.kind == objectKind && v.IsObject():
		return resource.NewObjectProperty(fillObject(t, path, s, v.ObjectValue()))
	case s.kind == listKind && v.IsArray():
		filled := make([]resource.PropertyValue, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			filled[i] = fill(t, element(path), s.elem, e)
		}
		return resource.NewArrayProperty(filled)
	default:
		return v
	}
}

func fillObject(t traits, path string, s *schema, object resource.PropertyMap) resource.PropertyMap {
	filled := resource.PropertyMap{}
	for name, prop := range s.props {
		key := resource.PropertyKey(name)
		if v, given := object[key]; given {
			filled[key] = fill(t, child(path, name), prop.schema, v)
		} else if fallback := t[child(path, name)].fallback; fallback != nil {
			filled[key] = resource.NewPropertyValue(fallback)
		}
	}
	return filled
}

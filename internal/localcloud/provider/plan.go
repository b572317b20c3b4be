package provider

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// planCreate is what a new resource will look like: its inputs, and unknown
// where the API has the say.
func planCreate(t *resourceType, inputs resource.PropertyMap, set settings) resource.PropertyMap {
	planned := t.desired(inputs, resource.PropertyMap{}, set)
	planned = planObject(t.traits, "", t.inputs, planned)
	for name := range t.outputs.props {
		key := resource.PropertyKey(name)
		if _, there := planned[key]; there {
			continue
		}
		if _, input := t.inputs.props[name]; !input {
			planned[key] = unknown
		}
	}
	return planned
}

// planUpdate is what a resource will look like once changed. What only the API
// sets is shown as it was, as the plugin does.
func planUpdate(t *resourceType, inputs, old resource.PropertyMap, set settings) resource.PropertyMap {
	planned := t.desired(inputs, old, set)
	for name := range t.outputs.props {
		key := resource.PropertyKey(name)
		_, input := t.inputs.props[name]
		if _, there := planned[key]; !there && !input {
			if v, was := old[key]; was {
				planned[key] = v
			}
		}
	}
	return planned
}

// desired is inputs, ready for the API: with what the API had filled in before
// wherever the program does not say, since the plugin sends that along, and
// with the effective labels.
func (t *resourceType) desired(inputs, old resource.PropertyMap, set settings) resource.PropertyMap {
	props := carryObject(t.traits, "", t.inputs, inputs, old)
	t.withLabels(props, old, set)
	if t.complete != nil {
		t.complete(props)
	}
	return props
}

func carry(t traits, path string, s *schema, v, old resource.PropertyValue) resource.PropertyValue {
	switch {
	case s.kind == objectKind && v.IsObject() && old.IsObject():
		return resource.NewObjectProperty(carryObject(t, path, s, v.ObjectValue(), old.ObjectValue()))
	case s.kind == listKind && v.IsArray() && old.IsArray() && !t[path].set:
		carried := make([]resource.PropertyValue, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			carried[i] = e
			if i < len(old.ArrayValue()) {
				carried[i] = carry(t, element(path), s.elem, e, old.ArrayValue()[i])
			}
		}
		return resource.NewArrayProperty(carried)
	default:
		return v
	}
}

func carryObject(t traits, path string, s *schema, object, old resource.PropertyMap) resource.PropertyMap {
	carried := resource.PropertyMap{}
	merge(carried, object)
	for name, prop := range s.props {
		key := resource.PropertyKey(name)
		was, had := old[key]
		if v, given := object[key]; given && had {
			carried[key] = carry(t, child(path, name), prop.schema, v, was)
		} else if had && !given && t[child(path, name)].computed {
			carried[key] = was
		}
	}
	return carried
}

// planValue puts unknowns where the API will fill something in.
func planValue(t traits, path string, s *schema, v resource.PropertyValue) resource.PropertyValue {
	switch {
	case s.kind == objectKind && v.IsObject():
		return resource.NewObjectProperty(planObject(t, path, s, v.ObjectValue()))
	case s.kind == listKind && v.IsArray():
		planned := make([]resource.PropertyValue, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			planned[i] = planValue(t, element(path), s.elem, e)
		}
		return resource.NewArrayProperty(planned)
	default:
		return v
	}
}

func planObject(t traits, path string, s *schema, object resource.PropertyMap) resource.PropertyMap {
	planned := resource.PropertyMap{}
	merge(planned, object)
	for name, prop := range s.props {
		key := resource.PropertyKey(name)
		if v, given := object[key]; given {
			planned[key] = planValue(t, child(path, name), prop.schema, v)
		} else if t[child(path, name)].computed {
			planned[key] = unknown
		}
	}
	return planned
}

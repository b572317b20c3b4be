// Package policy says what holds for every client's server, whatever its
// configuration: pure functions over the resources that a program would declare.
//
// The program checks itself with them before it declares anything, and so do its
// tests. They must not know the configuration: what they are told is what the
// engine would be.
package policy

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Resource is one resource as a program declares it.
type Resource struct {
	Type, Name string
	Inputs     resource.PropertyMap // secrets are marked as such
	Parent     string               // name of the component, or empty
	DependsOn  []string             // "type name", sorted: what must be there first
	Protected  bool
}

// Policy is one thing that always holds.
type Policy struct {
	Name string
	// Check gives what is wrong with a resource, in a few words, or nothing.
	Check func(Resource, []Resource) []string
}

// Check reports every breach of every policy, or nil.
func Check(graph []Resource) error {
	var problems []error
	for _, p := range Policies {
		for _, r := range graph {
			for _, what := range p.Check(r, graph) {
				problems = append(problems, fmt.Errorf("  %s (%s): %s, but %s", r.Name, r.Type, what, p.Name))
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("what would be declared breaks the policies, and nothing was changed; mend the transformation that asks for it:\n%w", err)
	}
	return nil
}

// at gives the value at a path of property names, with secrets opened; null where
// there is none.
func at(inputs resource.PropertyMap, path ...resource.PropertyKey) resource.PropertyValue {
	value := resource.NewProperty(inputs)
	for _, key := range path {
		value = open(value)
		if !value.IsObject() {
			return resource.NewNullProperty()
		}
		value = value.ObjectValue()[key]
	}
	return open(value)
}

func open(value resource.PropertyValue) resource.PropertyValue {
	for value.IsSecret() || value.IsOutput() {
		if value.IsSecret() {
			value = value.SecretValue().Element
			continue
		}
		value = value.OutputValue().Element
	}
	return value
}

// text is a string, or empty where there is none.
func text(value resource.PropertyValue) string {
	if value = open(value); value.IsString() {
		return value.StringValue()
	}
	return ""
}

func elements(value resource.PropertyValue) []resource.PropertyValue {
	if value = open(value); value.IsArray() {
		return value.ArrayValue()
	}
	return nil
}

// texts are all strings within a value.
func texts(value resource.PropertyValue) []string {
	value = open(value)
	var all []string
	switch {
	case value.IsString():
		all = append(all, value.StringValue())
	case value.IsArray():
		for _, element := range value.ArrayValue() {
			all = append(all, texts(element)...)
		}
	case value.IsObject():
		for _, key := range value.ObjectValue().StableKeys() {
			all = append(all, texts(value.ObjectValue()[key])...)
		}
	}
	return all
}

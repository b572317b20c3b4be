// Package policy says what holds for every client's server, whatever its
// configuration: pure functions over the resources that a program would declare.
//
// The program checks itself with them before it declares anything, and so do its
// tests. They must not know the configuration: what they are told is what the
// engine would be.
package policy

import (
	"encoding/json"
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
	// IgnoreChanges are paths of properties that keep what the cloud has.
	IgnoreChanges []string
	Transforms    bool // functions change it in the engine, after the program
}

// Policy is one thing that always holds.
type Policy struct {
	Name string
	// Check gives what is wrong with a resource, in a few words, or nothing.
	Check func(Resource, []Resource) []string
	Graph bool // it also looks at resources that are declared later
}

// Check reports every breach by a client's server, or nil.
func Check(graph []Resource) error { return Client.Check(graph) }

// Check reports every breach of every policy, or nil.
func (k Kind) Check(graph []Resource) error {
	var problems []error
	for _, p := range k.Policies {
		for _, r := range graph {
			problems = append(problems, p.breaches(r, graph)...)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("what would be declared breaks the policies, and nothing was changed; mend the transformation that asks for it:\n%w", err)
	}
	return nil
}

// CheckOne reports every breach that a resource is as it reaches the engine, after the
// others, or nil. If final, what it grants and the account that it runs as must be known;
// in a preview they may not be yet.
func (k Kind) CheckOne(r Resource, others []Resource, final bool) error {
	var problems []error
	for _, p := range k.Policies {
		if !p.Graph {
			problems = append(problems, p.breaches(r, others)...)
		}
	}
	if _, isGrant := grants[r.Type]; isGrant && final && r.Inputs.ContainsUnknowns() {
		problems = append(problems, fmt.Errorf("  %s (%s): has a value that is not known, so that nobody can tell who is let in", r.Name, r.Type))
	}
	if final && runsAs(r).IsComputed() {
		problems = append(problems, fmt.Errorf("  %s (%s): runs as an account that is not known", r.Name, r.Type))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("a resource breaks the policies and is not declared; fix the transformation that asks for it:\n%w", err)
	}
	return nil
}

func (p Policy) breaches(r Resource, graph []Resource) []error {
	var problems []error
	for _, what := range p.Check(r, graph) {
		problems = append(problems, fmt.Errorf("  %s (%s): %s, but %s", r.Name, r.Type, what, p.Name))
	}
	return problems
}

// binding is who has a role.
type binding struct {
	Role    string   `json:"role"`
	Members []string `json:"members"`
}

// bindingsOf returns what a grant says, as far as it is known.
func bindingsOf(r Resource) ([]binding, error) {
	if r.Type == bucketPolicy {
		var policy struct{ Bindings []binding }
		data := text(at(r.Inputs, "policyData"))
		if data == "" {
			return nil, nil
		}
		if err := json.Unmarshal([]byte(data), &policy); err != nil {
			return nil, errors.New("policyData is not an IAM policy in JSON")
		}
		return policy.Bindings, nil
	}
	b := binding{Role: text(at(r.Inputs, "role"))}
	for _, member := range append(elements(at(r.Inputs, "members")), at(r.Inputs, "member")) {
		if s := text(member); s != "" {
			b.Members = append(b.Members, s)
		}
	}
	return []binding{b}, nil
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

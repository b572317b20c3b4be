// Package graphtest shows what a Pulumi program declares: it runs the program
// without an engine and compares the graph of resources with a golden file, in
// which a reviewer reads a change of the program as a diff.
package graphtest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Resource is one resource that a program declares.
type Resource struct {
	Type         string
	Name         string
	Parent       string         `yaml:",omitempty"` // "type name"; empty for the stack itself
	Dependencies []string       `yaml:",omitempty"` // "type name", sorted; what an input comes from, too
	Protected    bool           `yaml:",omitempty"`
	Inputs       map[string]any // a secret is "[secret]"
}

// Cloud answers in the place of Google. The zero value computes nothing.
type Cloud struct {
	// Computed gives the outputs that a resource has besides its inputs. Nil: none.
	Computed func(pulumi.MockResourceArgs) resource.PropertyMap
	// Call answers the functions that a program calls, by their tokens.
	Call map[string]resource.PropertyMap
}

// Graph is what a program has declared, in order of type and name.
type Graph []Resource

// Run runs a program as the stack "acme", with a configuration as Pulumi.acme.yaml
// would hold it, and gives what it declared before it ended, and its error. Options
// may make it a preview, or say which settings are encrypted.
func Run(t *testing.T, program pulumi.RunFunc, config map[string]any, cloud Cloud, options ...pulumi.RunOption) (Graph, error) {
	t.Helper()
	flat := map[string]string{}
	for name, value := range config {
		if text, ok := value.(string); ok {
			flat[name] = text
			continue
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		flat[name] = string(encoded)
	}
	r := &recorder{cloud: cloud}
	options = append(options, pulumi.WithMocks("berth", "acme", r), func(info *pulumi.RunInfo) { info.Config = flat })
	err := pulumi.RunErr(program, options...)
	slices.SortFunc(r.graph, func(a, b Resource) int {
		return strings.Compare(a.Type+" "+a.Name, b.Type+" "+b.Name)
	})
	return r.graph, err
}

// Golden compares the graph with testdata/NAME.yaml. With -update it writes it.
func (g Graph) Golden(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("testdata", name+".yaml")
	var got strings.Builder
	encoder := yaml.NewEncoder(&got)
	encoder.SetIndent(2)
	require.NoError(t, encoder.Encode(g))
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "write it with: go test -update")
	assert.Equal(t, string(want), got.String(), "%s is not what the program declares; if it should be: go test -update", file)
}

// Of gives the resources of a type.
func (g Graph) Of(token string) Graph {
	var found Graph
	for _, r := range g {
		if r.Type == token {
			found = append(found, r)
		}
	}
	return found
}

type recorder struct {
	cloud Cloud
	mu    sync.Mutex
	graph Graph
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	declared := Resource{
		Type:      args.TypeToken,
		Name:      args.Name,
		Parent:    short(args.RegisterRPC.GetParent()),
		Protected: args.RegisterRPC.GetProtect(),
		Inputs:    args.Inputs.MapRepl(nil, masked),
	}
	for _, urn := range args.RegisterRPC.GetDependencies() {
		declared.Dependencies = append(declared.Dependencies, short(urn))
	}
	slices.Sort(declared.Dependencies)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.graph = append(r.graph, declared)

	state := args.Inputs.Copy()
	if r.cloud.Computed != nil {
		for key, value := range r.cloud.Computed(args) {
			state[key] = value
		}
	}
	return args.Name + "-id", state, nil
}

func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return r.cloud.Call[args.Token], nil
}

// short is a URN as a person would name the resource.
func short(urn string) string {
	if parsed := resource.URN(urn); parsed.IsValid() && parsed.Type() != resource.RootStackType {
		return string(parsed.Type()) + " " + parsed.Name()
	}
	return ""
}

func masked(value resource.PropertyValue) (any, bool) { return "[secret]", value.IsSecret() }

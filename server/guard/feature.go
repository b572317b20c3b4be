package guard

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/yosida95/uritemplate/v3"
)

// kind is a kind of feature, as the access rules tell them apart.
type kind string

const (
	toolKind     kind = "tool"
	resourceKind kind = "resource" // templates of resources, too
	promptKind   kind = "prompt"
)

// feature is something that callers may use. What is not one is refused, whether the
// protocol's library has it or not.
type feature struct {
	kind kind
	// name identifies the feature among those of its kind: a name, a URI or a URI
	// template.
	name  string
	needs Role
	// changes is true of a tool that is not marked as reading only.
	changes bool
	// input is what a tool takes; nil if it does not say so in a form that the guard reads.
	input *jsonschema.Schema
	// template matches the URIs of a resource template; nil for everything else.
	template *regexp.Regexp
}

// features are all that has been added, by kind and name.
type features map[kind]map[string]*feature

func newFeatures() features {
	return features{toolKind: {}, resourceKind: {}, promptKind: {}}
}

// names returns the names of a kind, sorted.
func (f features) names(of kind) []string { return slices.Sorted(maps.Keys(f[of])) }

// AddTool adds a tool that callers with the role needs, or a higher one, may
// use. What the annotations say about reading only is what the read-only switch
// goes by. See [mcp.AddTool] for the rest.
//
// Like the methods that add resources and prompts, it panics if there is one of that
// name, which it would replace, or if the guard already serves callers.
func AddTool[In, Out any](g *Guard, needs Role, tool *mcp.Tool, handler mcp.ToolHandlerFor[In, Out]) {
	input, given := tool.InputSchema.(*jsonschema.Schema)
	if !given && tool.InputSchema == nil {
		input, _ = jsonschema.For[In](nil) // if there is none, mcp.AddTool says why
	}
	changes := tool.Annotations == nil || !tool.Annotations.ReadOnlyHint
	g.add(&feature{kind: toolKind, name: tool.Name, needs: needs, changes: changes, input: input})
	mcp.AddTool(g.server, tool, handler)
}

// AddResource adds a resource that callers with the role needs, or a higher one, may
// read and subscribe to. See [mcp.Server.AddResource] for the rest.
func (g *Guard) AddResource(needs Role, resource *mcp.Resource, handler mcp.ResourceHandler) {
	kept := *resource // whoever changes theirs later does not change what was added
	g.add(&feature{kind: resourceKind, name: kept.URI, needs: needs})
	g.server.AddResource(&kept, handler)
}

// AddResourceTemplate adds a template of resources that callers with the role needs, or
// a higher one, may read and subscribe to. A URI that several templates match needs what
// all of them need. See [mcp.Server.AddResourceTemplate] for the rest.
func (g *Guard) AddResourceTemplate(needs Role, template *mcp.ResourceTemplate, handler mcp.ResourceHandler) {
	kept := *template
	parsed, err := uritemplate.New(kept.URITemplate)
	if err != nil {
		panic(fmt.Sprintf("guard: resource template %q: %v", kept.URITemplate, err))
	}
	g.add(&feature{kind: resourceKind, name: kept.URITemplate, needs: needs, template: parsed.Regexp()})
	g.server.AddResourceTemplate(&kept, handler)
}

// AddPrompt adds a prompt that callers with the role needs, or a higher one, may get.
// See [mcp.Server.AddPrompt] for the rest.
func (g *Guard) AddPrompt(needs Role, prompt *mcp.Prompt, handler mcp.PromptHandler) {
	kept := *prompt
	g.add(&feature{kind: promptKind, name: kept.Name, needs: needs})
	g.server.AddPrompt(&kept, handler)
}

// add makes a feature known. It comes before the library gets to know it, so that
// nothing is ever there without its role.
func (g *Guard) add(f *feature) {
	g.adding.Lock()
	defer g.adding.Unlock()
	if g.serving {
		panic(fmt.Sprintf("guard: %s %q is added while the guard serves callers: add it before, so that the access rules can be checked against it", f.kind, f.name))
	}
	if _, taken := g.features[f.kind][f.name]; taken {
		panic(fmt.Sprintf("guard: %s %q is added twice: the second would replace the first and its role; rename one of them", f.kind, f.name))
	}
	g.features[f.kind][f.name] = f
}

package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Access says who may do what.
type Access struct {
	// Default is the role of a caller that no rule names; viewer if nil.
	Default *Role `yaml:"default"`
	// Roles give callers a role, by rules of the form subject:ISSUER#SUBJECT (see
	// [identity.Caller.Key]), user:E-MAIL, serviceAccount:E-MAIL, domain:DOMAIN (of
	// the e-mail) or group:NAME (as a token says, in mode oidc). A caller whom
	// several rules name has the highest of their roles.
	Roles map[Role][]string `yaml:"roles"`
	// ReadOnly refuses every tool that is not marked as reading only.
	ReadOnly bool `yaml:"read_only"`
	// Tools and Prompts, by name, and Resources, by URI or by URI template as it is
	// listed, take these away from everyone.
	Tools     Names `yaml:"tools"`
	Resources Names `yaml:"resources"`
	Prompts   Names `yaml:"prompts"`
}

// Names select among the features of one kind.
type Names struct {
	// Allow, if not empty, are the only ones there are.
	Allow []string `yaml:"allow"`
	// Deny are not there, even if they are allowed.
	Deny []string `yaml:"deny"`
}

// names returns the selection among the features of a kind.
func (a Access) names(of kind) Names {
	switch of {
	case toolKind:
		return a.Tools
	case resourceKind:
		return a.Resources
	default:
		return a.Prompts
	}
}

// ruleKind is one kind of rule: whether a rule names the caller, and what is wrong with
// the name in one.
type ruleKind struct {
	names func(caller identity.Caller, name string) bool
	check func(name string) error
}

// ruleKinds are all of them. Names of people and domains have no case, and only ASCII's:
// an address with any other letter is no caller's.
var ruleKinds = map[string]ruleKind{
	"subject":        {func(c identity.Caller, name string) bool { return name != "" && c.Key() == name }, identity.CheckKey},
	"user":           {hasEmail, checkASCII},
	"serviceAccount": {hasEmail, checkASCII},
	"domain": {func(c identity.Caller, name string) bool {
		_, domain, _ := strings.Cut(c.Email, "@")
		return domain == ascii.Lower(name)
	}, checkASCII},
	"group": {func(c identity.Caller, name string) bool { return slices.Contains(c.Groups, name) }, func(string) error { return nil }},
}

func hasEmail(c identity.Caller, name string) bool { return c.Email == ascii.Lower(name) }

func checkASCII(name string) error {
	if !ascii.Is(name) {
		return errors.New("it has characters other than ASCII, and no caller's address has any: write a domain as DNS does, with xn--")
	}
	return nil
}

// Check gives every problem of the rules.
func (a Access) Check() error {
	var problems []error
	for _, role := range slices.Sorted(maps.Keys(a.Roles)) {
		for _, rule := range a.Roles[role] {
			name, value, found := strings.Cut(rule, ":")
			kind, known := ruleKinds[name]
			if !known || !found || value == "" {
				problems = append(problems, fmt.Errorf("access.roles.%s: %q names nobody: write subject:, user:, serviceAccount:, domain: or group:, and then whom", role, rule))
				continue
			}
			if err := kind.check(value); err != nil {
				problems = append(problems, fmt.Errorf("access.roles.%s: %q: %w", role, rule, err))
			}
		}
	}
	return errors.Join(problems...)
}

// role is what the rules give a caller.
func (a Access) role(caller identity.Caller) Role {
	highest, named := None, false
	for role, rules := range a.Roles {
		for _, rule := range rules {
			kind, name, _ := strings.Cut(rule, ":")
			if ruleKinds[kind].names(caller, name) {
				highest, named = max(highest, role), true
			}
		}
	}
	switch {
	case named:
		return highest
	case a.Default != nil:
		return *a.Default
	default:
		return Viewer
	}
}

// authorize lets a request through that the caller's role allows, with the role
// in its context.
func (g *Guard) authorize(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		known, ok := methods[method]
		if !ok {
			return refuse(ctx, method, jsonrpc.CodeMethodNotFound, 0, fmt.Sprintf("this server has no method %q", cut(method)))
		}
		if known.open {
			return next(ctx, method, req)
		}
		caller, ok := identity.FromContext(ctx)
		if !ok {
			return refuse(ctx, method, CodeForbidden, 0, "the caller is not known")
		}
		role := g.access.role(caller)
		if record := recordFrom(ctx); record != nil {
			record.Role = role
			if _, known := g.features[toolKind][toolName(req)]; known && method == methodCallTool {
				record.Tool = toolName(req)
			}
		}
		if role == None {
			return refuse(ctx, method, CodeForbidden, 0, caller.Email+" has no role on this server: ask its operator for one")
		}
		if known.wants != nil {
			wanted, unknown := known.wants(g.features, req.GetParams())
			if unknown != nil {
				// Who guesses names is counted, and gets no further than this.
				return g.limits.admit(unknown)(ctx, method, req)
			}
			if why := g.forbidsAny(wanted, role); why != "" {
				return refuse(ctx, method, CodeForbidden, 0, why)
			}
		}
		result, err := next(NewContext(ctx, role), method, req)
		if err != nil {
			return result, err
		}
		return g.trim(result, role), nil
	}
}

// forbidsAny says why a role may not use all of these features; nothing if it may.
func (g *Guard) forbidsAny(all []*feature, role Role) string {
	for _, f := range all {
		if why := g.forbids(f, role); why != "" {
			return why
		}
	}
	return ""
}

// forbids says why a role may not use a feature; nothing if it may.
func (g *Guard) forbids(f *feature, role Role) string {
	names := g.access.names(f.kind)
	switch {
	case slices.Contains(names.Deny, f.name), len(names.Allow) > 0 && !slices.Contains(names.Allow, f.name):
		return fmt.Sprintf("the operator of this server has switched off the %s %s", f.kind, f.name)
	case g.access.ReadOnly && f.changes:
		return fmt.Sprintf("this server is read-only, and %s changes something", f.name)
	case role < f.needs:
		return fmt.Sprintf("the %s %s is for the role %s, and yours is %s: ask the operator of this server for it", f.kind, f.name, f.needs, role)
	}
	return ""
}

// mayRead reports whether a role may read what is at a URI.
func (g *Guard) mayRead(uri string, role Role) bool {
	reached := g.features.reached(uri)
	return role > None && len(reached) > 0 && g.forbidsAny(reached, role) == ""
}

// trim leaves out of a list what the role may not use.
func (g *Guard) trim(result mcp.Result, role Role) mcp.Result {
	may := func(of kind, name string) bool {
		f, known := g.features[of][name]
		return known && g.forbids(f, role) == ""
	}
	switch list := result.(type) {
	case *mcp.ListToolsResult:
		trimmed := *list
		trimmed.Tools = only(list.Tools, func(t *mcp.Tool) bool { return may(toolKind, t.Name) })
		return &trimmed
	case *mcp.ListResourcesResult:
		trimmed := *list
		trimmed.Resources = only(list.Resources, func(r *mcp.Resource) bool { return may(resourceKind, r.URI) })
		return &trimmed
	case *mcp.ListResourceTemplatesResult:
		trimmed := *list
		trimmed.ResourceTemplates = only(list.ResourceTemplates, func(t *mcp.ResourceTemplate) bool { return may(resourceKind, t.URITemplate) })
		return &trimmed
	case *mcp.ListPromptsResult:
		trimmed := *list
		trimmed.Prompts = only(list.Prompts, func(p *mcp.Prompt) bool { return may(promptKind, p.Name) })
		return &trimmed
	}
	return result
}

// only returns those of a list that may be seen; an empty list, and never nil, which
// would be null in JSON, if there are none.
func only[T any](all []T, seen func(T) bool) []T {
	kept := []T{}
	for _, one := range all {
		if seen(one) {
			kept = append(kept, one)
		}
	}
	return kept
}

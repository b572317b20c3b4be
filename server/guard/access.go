package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Access says who may do what.
type Access struct {
	// Default is the role of a caller that no rule names; viewer if nil.
	Default *Role `yaml:"default"`
	// Roles give callers a role, by rules of the form user:E-MAIL,
	// serviceAccount:E-MAIL, domain:DOMAIN (of the e-mail) or group:NAME (as a
	// token says, in mode oidc). A caller whom several rules name has the
	// highest of their roles.
	Roles map[Role][]string `yaml:"roles"`
	// ReadOnly refuses every tool that is not marked as reading only.
	ReadOnly bool `yaml:"read_only"`
	// Tools takes tools away from everyone.
	Tools struct {
		// Allow, if not empty, are the only tools there are.
		Allow []string `yaml:"allow"`
		// Deny are tools that are not there, even if they are allowed.
		Deny []string `yaml:"deny"`
	} `yaml:"tools"`
}

// ruleKinds have one entry for each kind of rule: whether it names the caller.
var ruleKinds = map[string]func(caller identity.Caller, name string) bool{
	"user":           func(c identity.Caller, name string) bool { return c.Email == strings.ToLower(name) },
	"serviceAccount": func(c identity.Caller, name string) bool { return c.Email == strings.ToLower(name) },
	"domain": func(c identity.Caller, name string) bool {
		_, domain, _ := strings.Cut(c.Email, "@")
		return domain == strings.ToLower(name)
	},
	"group": func(c identity.Caller, name string) bool { return slices.Contains(c.Groups, name) },
}

// Check gives every problem of the rules.
func (a Access) Check() error {
	var problems []error
	for _, role := range slices.Sorted(maps.Keys(a.Roles)) {
		for _, rule := range a.Roles[role] {
			kind, name, found := strings.Cut(rule, ":")
			if _, known := ruleKinds[kind]; !known || !found || name == "" {
				problems = append(problems, fmt.Errorf("access.roles.%s: %q names nobody: write user:, serviceAccount:, domain: or group:, and then whom", role, rule))
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
			if ruleKinds[kind](caller, name) {
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
		if methods[method].open {
			return next(ctx, method, req)
		}
		caller, ok := identity.FromContext(ctx)
		if !ok {
			return refuse(ctx, method, CodeForbidden, 0, "the caller is not known")
		}
		role := g.access.role(caller)
		if record := recordFrom(ctx); record != nil {
			record.Role = role
			if _, known := g.tools[toolName(req)]; known && method == methodCallTool {
				record.Tool = toolName(req)
			}
		}
		if role == None {
			return refuse(ctx, method, CodeForbidden, 0, caller.Email+" has no role on this server: ask its operator for one")
		}
		if method == methodCallTool {
			if why := g.forbidden(toolName(req), role); why != "" {
				return refuse(ctx, method, CodeForbidden, 0, why)
			}
		}
		result, err := next(NewContext(ctx, role), method, req)
		if list, ok := result.(*mcp.ListToolsResult); ok && err == nil {
			return g.trim(list, role), nil
		}
		return result, err
	}
}

// forbidden says why a role may not use a tool; nothing if it may. A tool that
// does not exist is for the server to refuse.
func (g *Guard) forbidden(name string, role Role) string {
	tool, known := g.tools[name]
	switch {
	case !known:
		return ""
	case slices.Contains(g.access.Tools.Deny, name),
		len(g.access.Tools.Allow) > 0 && !slices.Contains(g.access.Tools.Allow, name):
		return fmt.Sprintf("the operator of this server has switched off the tool %s", name)
	case g.access.ReadOnly && !tool.readOnly:
		return fmt.Sprintf("this server is read-only, and %s changes something", name)
	case role < tool.needs:
		return fmt.Sprintf("the tool %s is for the role %s, and yours is %s: ask the operator of this server for it", name, tool.needs, role)
	}
	return ""
}

// trim leaves out of a list what the role may not use.
func (g *Guard) trim(list *mcp.ListToolsResult, role Role) *mcp.ListToolsResult {
	trimmed := *list
	trimmed.Tools = []*mcp.Tool{}
	for _, tool := range list.Tools {
		if _, known := g.tools[tool.Name]; known && g.forbidden(tool.Name, role) == "" {
			trimmed.Tools = append(trimmed.Tools, tool)
		}
	}
	return &trimmed
}

package guard_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// A feature kind is what the tests need to know of tools, resources, templates and prompts.
type featureKind struct {
	// name is what the feature for a role is called, in lists and access rules.
	name func(of string) string
	// add adds it to a guard, and stray to the server behind one.
	add   func(g *guard.Guard, needs guard.Role, name string)
	stray func(server *mcp.Server, name string, used func())
	list  func(*testing.T, *mcp.ClientSession) []string
	// uses are all the ways in which a caller may use it.
	uses map[string]func(t *testing.T, session *mcp.ClientSession, name string) error
	// names is the selection that the access rules make among its kind.
	names func(*guard.Access) *guard.Names
}

func resourceHandler(used func()) mcp.ResourceHandler {
	return func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		used()
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "read"}}}, nil
	}
}

func promptHandler(used func()) mcp.PromptHandler {
	return func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		used()
		return &mcp.GetPromptResult{}, nil
	}
}

func nothing() {}

// completing gives an error unless the handler was asked for completions.
func completing(t *testing.T, session *mcp.ClientSession, ref *mcp.CompleteReference) error {
	t.Helper()
	result, err := session.Complete(t.Context(), &mcp.CompleteParams{Ref: ref, Argument: mcp.CompleteParamsArgument{Name: "id"}})
	if err == nil && len(result.Completion.Values) == 0 {
		return fmt.Errorf("nothing to complete %v with", *ref)
	}
	return err
}

func reading(of func(name string) string) func(*testing.T, *mcp.ClientSession, string) error {
	return func(t *testing.T, session *mcp.ClientSession, name string) error {
		_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: of(name)})
		return err
	}
}

func subscribing(of func(name string) string) func(*testing.T, *mcp.ClientSession, string) error {
	return func(t *testing.T, session *mcp.ClientSession, name string) error {
		return session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: of(name)})
	}
}

func unsubscribing(of func(name string) string) func(*testing.T, *mcp.ClientSession, string) error {
	return func(t *testing.T, session *mcp.ClientSession, name string) error {
		return session.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: of(name)})
	}
}

// itself is the URI of a resource, and expanded one that a template matches.
func itself(name string) string { return name }

func expanded(template string) string { return template[:len(template)-len("{id}")] + "1" }

var featureKinds = map[string]featureKind{
	"tool": {
		name: itself,
		add: func(g *guard.Guard, needs guard.Role, name string) {
			guarded{guard: g}.add(name, needs, true, answering("done"))
		},
		stray: func(server *mcp.Server, name string, used func()) {
			tool := &mcp.Tool{Name: name, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}}
			mcp.AddTool(server, tool, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
				used()
				return nil, nil, nil
			})
		},
		list: func(t *testing.T, session *mcp.ClientSession) (names []string) {
			list, err := session.ListTools(t.Context(), nil)
			require.NoError(t, err)
			for _, tool := range list.Tools {
				names = append(names, tool.Name)
			}
			return names
		},
		uses: map[string]func(*testing.T, *mcp.ClientSession, string) error{
			"call": func(t *testing.T, session *mcp.ClientSession, name string) error {
				result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name})
				if err == nil && result.IsError {
					return &jsonrpc.Error{Code: guard.CodeForbidden, Message: text(result)}
				}
				return err
			},
		},
		names: func(a *guard.Access) *guard.Names { return &a.Tools },
	},
	"resource": {
		name: func(of string) string { return "test://" + of },
		add: func(g *guard.Guard, needs guard.Role, name string) {
			g.AddResource(needs, &mcp.Resource{URI: name, Name: name}, resourceHandler(nothing))
		},
		stray: func(server *mcp.Server, name string, used func()) {
			server.AddResource(&mcp.Resource{URI: name, Name: name}, resourceHandler(used))
		},
		list: func(t *testing.T, session *mcp.ClientSession) (uris []string) {
			list, err := session.ListResources(t.Context(), nil)
			require.NoError(t, err)
			for _, resource := range list.Resources {
				uris = append(uris, resource.URI)
			}
			return uris
		},
		uses: map[string]func(*testing.T, *mcp.ClientSession, string) error{
			"read": reading(itself), "subscribe": subscribing(itself), "unsubscribe": unsubscribing(itself),
		},
		names: func(a *guard.Access) *guard.Names { return &a.Resources },
	},
	"template": {
		name: func(of string) string { return "test://" + of + "/{id}" },
		add: func(g *guard.Guard, needs guard.Role, name string) {
			g.AddResourceTemplate(needs, &mcp.ResourceTemplate{URITemplate: name, Name: name}, resourceHandler(nothing))
		},
		stray: func(server *mcp.Server, name string, used func()) {
			server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: name, Name: name}, resourceHandler(used))
		},
		list: func(t *testing.T, session *mcp.ClientSession) (templates []string) {
			list, err := session.ListResourceTemplates(t.Context(), nil)
			require.NoError(t, err)
			for _, template := range list.ResourceTemplates {
				templates = append(templates, template.URITemplate)
			}
			return templates
		},
		uses: map[string]func(*testing.T, *mcp.ClientSession, string) error{
			"read": reading(expanded), "subscribe": subscribing(expanded), "unsubscribe": unsubscribing(expanded),
			"complete": func(t *testing.T, session *mcp.ClientSession, name string) error {
				return completing(t, session, &mcp.CompleteReference{Type: "ref/resource", URI: name})
			},
		},
		names: func(a *guard.Access) *guard.Names { return &a.Resources },
	},
	"prompt": {
		name: itself,
		add: func(g *guard.Guard, needs guard.Role, name string) {
			g.AddPrompt(needs, &mcp.Prompt{Name: name}, promptHandler(nothing))
		},
		stray: func(server *mcp.Server, name string, used func()) {
			server.AddPrompt(&mcp.Prompt{Name: name}, promptHandler(used))
		},
		list: func(t *testing.T, session *mcp.ClientSession) (names []string) {
			list, err := session.ListPrompts(t.Context(), nil)
			require.NoError(t, err)
			for _, prompt := range list.Prompts {
				names = append(names, prompt.Name)
			}
			return names
		},
		uses: map[string]func(*testing.T, *mcp.ClientSession, string) error{
			"get": func(t *testing.T, session *mcp.ClientSession, name string) error {
				_, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: name})
				return err
			},
			"complete": func(t *testing.T, session *mcp.ClientSession, name string) error {
				return completing(t, session, &mcp.CompleteReference{Type: "ref/prompt", Name: name})
			},
		},
		names: func(a *guard.Access) *guard.Names { return &a.Prompts },
	},
}

// subscribable gives every resource a version, so that there are subscriptions.
func subscribable(access guard.Access) guard.Options {
	return guard.Options{
		Access:  access,
		Limits:  guard.Limits{CallsPerMinute: 1e6, Burst: 1e6},
		Version: func(context.Context, string) (string, error) { return "1", nil },
	}
}

// withSessions connects a caller whose subscriptions belong to a session: before 2026-07-28.
func (g guarded) withSessions(t *testing.T, caller identity.Caller, told func(uri string)) *mcp.ClientSession {
	t.Helper()
	inside, outside := mcp.NewInMemoryTransports()
	connected, err := g.guard.Connect(identity.NewContext(t.Context(), caller), inside)
	require.NoError(t, err)
	client := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) { told(req.Params.URI) },
	})
	session, err := client.Connect(t.Context(), outside, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = session.Close()
		_ = connected.Close()
	})
	return session
}

func noNews(string) {}

func TestGuard_RefusesWhatWasAddedPastIt(t *testing.T) {
	for kindName, kind := range featureKinds {
		stray := kind.name("stray")
		readOnly, allowing := accessByGroup(), accessByGroup()
		readOnly.ReadOnly = true
		kind.names(&allowing).Allow = []string{kind.name("known")}
		for accessName, access := range map[string]guard.Access{"roles": accessByGroup(), "read-only": readOnly, "an allow list": allowing} {
			for _, role := range everyRole[1:] {
				t.Run(fmt.Sprintf("%s, %s, %s", kindName, accessName, role), func(t *testing.T) {
					g := newGuarded(subscribable(access))
					kind.add(g.guard, guard.Viewer, kind.name("known"))
					session := g.withSessions(t, person("ada@example.com", role.String()), noNews)
					var used atomic.Int64
					kind.stray(guard.ServerOf(g.guard), stray, func() { used.Add(1) })

					for useName, use := range kind.uses {
						require.NoError(t, use(t, session, kind.name("known")), useName)
						assert.Error(t, use(t, session, stray), useName)
					}
					assert.Equal(t, []string{kind.name("known")}, kind.list(t, session))
					assert.Zero(t, used.Load(), "what nobody gave a role has run")
				})
			}
		}
	}
}

func TestGuard_EachRoleUsesWhatItMay(t *testing.T) {
	for kindName, kind := range featureKinds {
		g := newGuarded(subscribable(accessByGroup()))
		for _, needs := range everyRole[1:] {
			kind.add(g.guard, needs, kind.name(needs.String()))
		}
		for _, role := range everyRole {
			t.Run(kindName+" by "+role.String(), func(t *testing.T) {
				session := g.withSessions(t, person(role.String()+"@example.com", role.String()), noNews)
				var listed []string
				if role > guard.None {
					listed = kind.list(t, session)
				}
				for _, needs := range everyRole[1:] {
					name := kind.name(needs.String())
					assert.Equal(t, role >= needs, slices.Contains(listed, name), "%s is listed", name)
					for useName, use := range kind.uses {
						err := use(t, session, name)
						if role >= needs {
							assert.NoError(t, err, "%s %s", useName, name)
							continue
						}
						var refused *jsonrpc.Error
						if assert.ErrorAs(t, err, &refused, "%s %s", useName, name) {
							assert.EqualValues(t, guard.CodeForbidden, refused.Code)
						}
					}
				}
			})
		}
	}
}

func TestGuard_SwitchesOffByName(t *testing.T) {
	for kindName, kind := range featureKinds {
		for name, c := range map[string]struct{ allow, deny, want []string }{
			"nothing":   {nil, nil, []string{"one", "other"}},
			"allowed":   {[]string{"one"}, nil, []string{"one"}},
			"denied":    {nil, []string{"one"}, []string{"other"}},
			"deny wins": {[]string{"one", "other"}, []string{"other"}, []string{"one"}},
		} {
			t.Run(kindName+", "+name, func(t *testing.T) {
				access := guard.Access{Default: new(guard.Admin), ReadOnly: true} // none of these changes anything
				for _, allowed := range c.allow {
					kind.names(&access).Allow = append(kind.names(&access).Allow, kind.name(allowed))
				}
				for _, denied := range c.deny {
					kind.names(&access).Deny = append(kind.names(&access).Deny, kind.name(denied))
				}
				g := newGuarded(subscribable(access))
				for _, feature := range []string{"one", "other"} {
					kind.add(g.guard, guard.Viewer, kind.name(feature))
				}
				session := g.withSessions(t, person("ada@example.com"), noNews)
				for _, feature := range []string{"one", "other"} {
					there := slices.Contains(c.want, feature)
					assert.Equal(t, there, slices.Contains(kind.list(t, session), kind.name(feature)), feature)
					for useName, use := range kind.uses {
						err := use(t, session, kind.name(feature))
						if there {
							assert.NoError(t, err, "%s %s", useName, feature)
						} else {
							assert.ErrorContains(t, err, "the operator of this server has switched off", "%s %s", useName, feature)
						}
					}
				}
			})
		}
	}
}

func TestGuard_ServesNobodyWhileTheAccessRulesNameWhatIsNotThere(t *testing.T) {
	var access guard.Access
	access.Tools = guard.Names{Allow: []string{"raed"}, Deny: []string{"wirte"}}
	access.Resources = guard.Names{Allow: []string{"test://goasl"}, Deny: []string{"test://goals/1"}}
	access.Prompts = guard.Names{Allow: []string{"weekyl"}, Deny: []string{"monthly"}}
	access.Roles = map[guard.Role][]string{guard.Admin: {"ada@example.com"}}
	g := newGuarded(guard.Options{Access: access, Limits: guard.Limits{Burst: -1, ToolTimeouts: map[string]time.Duration{"slwo": time.Second}}})
	g.add("read", guard.Viewer, true, answering(""))
	g.guard.AddResource(guard.Viewer, &mcp.Resource{URI: "test://goals", Name: "goals"}, resourceHandler(nothing))
	g.guard.AddResourceTemplate(guard.Viewer, &mcp.ResourceTemplate{URITemplate: "test://goals/{id}", Name: "goal"}, resourceHandler(nothing))

	inside, _ := mcp.NewInMemoryTransports()
	_, connecting := g.guard.Connect(t.Context(), inside)
	_, serving := g.guard.StreamableHTTPHandler(nil)
	for _, err := range []error{connecting, serving} {
		for _, problem := range []string{
			`access.tools.allow: there is no tool "raed"; the tools are read`,
			`access.tools.deny: there is no tool "wirte"; the tools are read`,
			`access.resources.allow: there is no resource "test://goasl"; the resources are test://goals, test://goals/{id}`,
			`access.resources.deny: there is no resource "test://goals/1"; the resources are test://goals, test://goals/{id}`,
			`access.prompts.allow: there is no prompt "weekyl", nor any other: leave access.prompts.allow out`,
			`access.prompts.deny: there is no prompt "monthly"`,
			`access.roles.admin: "ada@example.com"`,
			`limits.burst: -1`,
			`limits.tool_timeouts: there is no tool "slwo"`,
		} {
			assert.ErrorContains(t, err, problem)
		}
	}
}

func TestGuard_RefusesASecondFeatureOfTheSameName(t *testing.T) {
	for name, kind := range featureKinds {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(guard.Options{Access: guard.Access{Default: new(guard.Viewer)}})
			kind.add(g.guard, guard.Admin, kind.name("one"))
			assert.Panics(t, func() { kind.add(g.guard, guard.Viewer, kind.name("one")) })
			assert.Empty(t, kind.list(t, g.as(t, person("ada@example.com"))), "the first one's role holds")
		})
	}
}

func TestGuard_RefusesAdditionsOnceItServes(t *testing.T) {
	for name, kind := range featureKinds {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(guard.Options{})
			_, err := g.guard.StreamableHTTPHandler(nil)
			require.NoError(t, err)
			assert.Panics(t, func() { kind.add(g.guard, guard.Viewer, kind.name("late")) })
		})
	}
}

func TestGuard_KeepsWhatWasAddedAsItWas(t *testing.T) {
	g := newGuarded(guard.Options{})
	resource := &mcp.Resource{URI: "test://one", Name: "one"}
	template := &mcp.ResourceTemplate{URITemplate: "test://one/{id}", Name: "one"}
	prompt := &mcp.Prompt{Name: "one"}
	g.guard.AddResource(guard.Viewer, resource, resourceHandler(nothing))
	g.guard.AddResourceTemplate(guard.Viewer, template, resourceHandler(nothing))
	g.guard.AddPrompt(guard.Viewer, prompt, promptHandler(nothing))
	resource.URI, template.URITemplate, prompt.Name = "test://other", "test://other/{id}", "other"
	session := g.as(t, person("ada@example.com"))
	for _, name := range []string{"resource", "template", "prompt"} {
		kind := featureKinds[name]
		assert.Equal(t, []string{kind.name("one")}, kind.list(t, session))
	}
}

type customParams struct{ mcp.ParamsBase }

type customResult struct{ mcp.ResultBase }

func TestGuard_RefusesAMethodThatItDoesNotKnow(t *testing.T) {
	const method = "tasks/get"
	g := newGuarded(guard.Options{Access: guard.Access{Default: new(guard.Admin)}})
	var used atomic.Bool
	require.NoError(t, mcp.AddReceivingCustomMethod(guard.ServerOf(g.guard), method,
		func(context.Context, *mcp.ServerSession, *customParams) (*customResult, error) {
			used.Store(true)
			return &customResult{}, nil
		}))
	inside, outside := mcp.NewInMemoryTransports()
	_, err := g.guard.Connect(identity.NewContext(t.Context(), person("ada@example.com")), inside)
	require.NoError(t, err)
	client := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil)
	require.NoError(t, mcp.AddSendingCustomMethod[*customParams, *customResult](client, method))
	session, err := client.Connect(t.Context(), outside, nil)
	require.NoError(t, err)
	defer session.Close()

	_, err = mcp.CallCustomMethod[*customParams, *customResult](t.Context(), session, method, &customParams{})
	var refused *jsonrpc.Error
	require.ErrorAs(t, err, &refused)
	assert.EqualValues(t, jsonrpc.CodeMethodNotFound, refused.Code)
	assert.False(t, used.Load())
	records := g.records(t, "request")
	require.Len(t, records, 1)
	assert.Equal(t, method, records[0]["method"])
	assert.Equal(t, guard.OutcomeRefused, records[0]["outcome"])
}

func TestGuard_CountsGuesses(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{CallsPerMinute: 1, Burst: 3}})
	g.add("tool", guard.Viewer, true, answering("done"))
	session := g.as(t, person("ada@example.com"))
	for _, uri := range []string{"test://1", "test://2", "test://3"} {
		_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		require.ErrorContains(t, err, "not found")
	}
	assert.Contains(t, text(call(t, session, "tool", nil)), "too many calls")
}

func TestGuard_ListsWithoutNamingWhatIsHidden(t *testing.T) {
	g := guarded{guard: guard.New(&mcp.Implementation{Name: "test", Version: "1"}, guard.Options{
		Client: "acme", Logger: slog.New(slog.DiscardHandler), Server: &mcp.ServerOptions{PageSize: 1},
	})}
	for _, name := range []string{"a_hidden", "b_shown", "c_shown"} {
		needs := guard.Viewer
		if name == "a_hidden" {
			needs = guard.Admin
		}
		g.add(name, needs, true, answering(""))
	}
	list, err := g.as(t, person("ada@example.com")).ListTools(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, list.Tools, 2)
	assert.Empty(t, list.NextCursor, "which would name the hidden tool")
}

func TestGuard_PanicsOverSubscriptionsPastIt(t *testing.T) {
	server := &mcp.ServerOptions{
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
	}
	assert.Panics(t, func() { guard.New(&mcp.Implementation{Name: "test", Version: "1"}, guard.Options{Server: server}) })
}

package guard_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

var everyRole = []guard.Role{guard.None, guard.Viewer, guard.Contributor, guard.Manager, guard.Admin}

// accessByGroup gives each role to the group of its name.
func accessByGroup() guard.Access {
	access := guard.Access{Roles: map[guard.Role][]string{}}
	for _, role := range everyRole {
		access.Roles[role] = []string{"group:" + role.String()}
	}
	return access
}

func TestEachRoleListsExactlyTheToolsThatItMayCall(t *testing.T) {
	g := newGuarded(guard.Options{Access: accessByGroup()})
	for _, needs := range everyRole[1:] {
		g.add("for_"+needs.String(), needs, true, answering("done"))
	}
	for _, role := range everyRole {
		t.Run(role.String(), func(t *testing.T) {
			session := g.as(t, person(role.String()+"@example.com", role.String()))
			var listed []string
			list, err := session.ListTools(t.Context(), nil)
			if role == guard.None {
				var refused *jsonrpc.Error
				require.ErrorAs(t, err, &refused)
				assert.EqualValues(t, guard.CodeForbidden, refused.Code)
			} else {
				require.NoError(t, err)
				for _, tool := range list.Tools {
					listed = append(listed, tool.Name)
				}
			}
			for _, needs := range everyRole[1:] {
				name := "for_" + needs.String()
				result := call(t, session, name, nil)
				assert.Equal(t, role >= needs, !result.IsError, name)
				assert.Equal(t, slices.Contains(listed, name), !result.IsError, "listed and callable agree on %s", name)
			}
		})
	}
}

func TestAToolThatIsAddedPastTheGuardIsNotListed(t *testing.T) {
	g := newGuarded(guard.Options{})
	g.add("known", guard.Viewer, true, answering(""))
	mcp.AddTool(guard.ServerOf(g.guard), &mcp.Tool{Name: "stray"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	list, err := g.as(t, person("ada@example.com")).ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, 1)
	assert.Equal(t, "known", list.Tools[0].Name)
}

func TestTheHighestRoleThatARuleGivesCounts(t *testing.T) {
	access := guard.Access{Roles: map[guard.Role][]string{
		guard.None:        {"user:left@example.com"},
		guard.Viewer:      {"domain:example.com"},
		guard.Contributor: {"domain:Partner.example", "serviceAccount:agent@p1.iam.gserviceaccount.com"},
		guard.Manager:     {"user:Ada@example.com", "group:leads"},
	}}
	strict := access
	strict.Default = new(guard.None)
	for _, c := range []struct {
		name   string
		access guard.Access
		caller identity.Caller
		want   guard.Role
	}{
		{"by the domain", access, person("bob@example.com"), guard.Viewer},
		{"by the person, above the domain", access, person("ada@example.com"), guard.Manager},
		{"by a group", access, person("eve@elsewhere.example", "staff", "leads"), guard.Manager},
		{"a group of another name", access, person("eve@elsewhere.example", "LEADS"), guard.Viewer},
		{"a service account", access, person("agent@p1.iam.gserviceaccount.com"), guard.Contributor},
		{"a subdomain is another domain", access, person("eve@evil.partner.example"), guard.Viewer},
		{"a domain in the local part", access, person("partner.example@elsewhere.example"), guard.Viewer},
		{"nobody's rule, without a default", access, person("eve@elsewhere.example"), guard.Viewer},
		{"nobody's rule, with a default", strict, person("eve@elsewhere.example"), guard.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuarded(guard.Options{Access: c.access})
			var got guard.Role
			g.add("role", guard.Viewer, true, func(ctx context.Context) (string, error) { got = guard.RoleFrom(ctx); return "", nil })
			call(t, g.as(t, c.caller), "role", nil)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestWhoIsNotKnownMayDoNothing(t *testing.T) {
	g := newGuarded(guard.Options{Access: guard.Access{Default: new(guard.Admin)}})
	g.add("tool", guard.Viewer, true, answering("done"))
	inside, outside := mcp.NewInMemoryTransports()
	_, err := g.guard.Connect(t.Context(), inside)
	require.NoError(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(), outside, nil)
	require.NoError(t, err)
	defer session.Close()
	assert.Contains(t, text(call(t, session, "tool", nil)), "not known")
}

func TestToolsCanBeSwitchedOff(t *testing.T) {
	var allow, deny guard.Access
	allow.Tools.Allow = []string{"read", "write"}
	deny.Tools.Allow, deny.Tools.Deny = []string{"read", "write"}, []string{"write"}
	for name, c := range map[string]struct {
		access guard.Access
		want   []string
	}{
		"nothing":    {guard.Access{}, []string{"other", "read", "write"}},
		"read-only":  {guard.Access{ReadOnly: true}, []string{"other", "read"}},
		"allow-list": {allow, []string{"read", "write"}},
		"deny wins":  {deny, []string{"read"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(guard.Options{Access: c.access})
			g.add("read", guard.Viewer, true, answering(""))
			g.add("other", guard.Viewer, true, answering(""))
			g.add("write", guard.Viewer, false, answering(""))
			require.NoError(t, g.guard.Check())
			session := g.as(t, person("ada@example.com"))
			list, err := session.ListTools(t.Context(), nil)
			require.NoError(t, err)
			var listed []string
			for _, tool := range list.Tools {
				listed = append(listed, tool.Name)
			}
			assert.ElementsMatch(t, c.want, listed)
			for _, tool := range []string{"read", "other", "write"} {
				assert.Equal(t, !slices.Contains(c.want, tool), call(t, session, tool, nil).IsError, tool)
			}
		})
	}
}

func TestAConfigurationThatNamesNoToolIsAnError(t *testing.T) {
	access := guard.Access{}
	access.Tools.Allow, access.Tools.Deny = []string{"raed"}, []string{"wirte"}
	g := newGuarded(guard.Options{Access: access, Limits: guard.Limits{ToolTimeouts: map[string]time.Duration{"slwo": time.Second}}})
	g.add("read", guard.Viewer, true, answering(""))
	err := g.guard.Check()
	assert.ErrorContains(t, err, `access.tools.allow: there is no tool "raed"; the tools are read`)
	assert.ErrorContains(t, err, `access.tools.deny: there is no tool "wirte"`)
	assert.ErrorContains(t, err, `limits.tool_timeouts: there is no tool "slwo"`)
}

func TestRulesThatNameNobodyAreAnError(t *testing.T) {
	err := guard.Access{Roles: map[guard.Role][]string{guard.Admin: {"ada@example.com", "user:", "users:x", "user:ok@example.com"}}}.Check()
	for _, rule := range []string{`"ada@example.com"`, `"user:"`, `"users:x"`} {
		assert.ErrorContains(t, err, "access.roles.admin: "+rule)
	}
	assert.NotContains(t, err.Error(), "ok@example.com")
}

func TestAPanicFailsItsCallAlone(t *testing.T) {
	g := newGuarded(guard.Options{})
	g.add("breaks", guard.Viewer, true, func(context.Context) (string, error) { panic("secret detail") })
	g.add("works", guard.Viewer, true, answering("done"))
	session := g.as(t, person("ada@example.com"))
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "breaks"})
	require.ErrorContains(t, err, "internal error")
	assert.NotContains(t, err.Error(), "secret detail", "what broke is the operator's to know")
	assert.Contains(t, g.log.String(), "secret detail")
	assert.Contains(t, g.log.String(), "guard_test.go", "where it broke")
	assert.Equal(t, "done", text(call(t, session, "works", nil)))
}

func TestEachCallLeavesOneRecord(t *testing.T) {
	g := newGuarded(guard.Options{Access: accessByGroup()})
	g.add("works", guard.Viewer, true, answering("done"))
	g.add("fails", guard.Viewer, true, func(context.Context) (string, error) { return "", errors.New("no such goal") })
	g.add("manages", guard.Manager, true, answering("done"))
	g.guard.AddResource(guard.Viewer, &mcp.Resource{URI: "portal://goals", Name: "goals"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "portal://goals", Text: "[]"}}}, nil
	})
	g.guard.AddPrompt(guard.Viewer, &mcp.Prompt{Name: "weekly"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{}, nil
	})
	caller := person("ada@example.com", "viewer")
	caller.Via = "dev@agency.example"
	session := g.as(t, caller)

	call(t, session, "works", map[string]any{"text": "hello", "password": "hunter2"})
	call(t, session, "fails", nil)
	call(t, session, "manages", nil)
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: strings.Repeat("x", 1000)})
	require.Error(t, err)
	_, err = session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "portal://goals"})
	require.NoError(t, err)
	_, err = session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "portal://goals/ya29.hunter2"})
	require.Error(t, err)
	_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "weekly", Arguments: map[string]string{"token": "hunter2"}})
	require.NoError(t, err)
	_, err = session.ListTools(t.Context(), nil)
	require.NoError(t, err)

	calls := g.records(t, "tool call")
	require.Len(t, calls, 4)
	for i, want := range []struct{ tool, outcome, severity string }{
		{"works", guard.OutcomeOK, "INFO"},
		{"fails", guard.OutcomeToolError, "INFO"},
		{"manages", guard.OutcomeRefused, "WARNING"},
		{strings.Repeat("x", 200) + "… (800 bytes more)", guard.OutcomeError, "INFO"},
	} {
		assert.Equal(t, want.tool, calls[i]["tool"])
		assert.Equal(t, want.outcome, calls[i]["outcome"], want.tool)
		assert.Equal(t, want.severity, calls[i]["severity"])
		assert.Equal(t, "ada@example.com", calls[i]["caller"])
		assert.Equal(t, "dev@agency.example", calls[i]["via"])
		assert.Equal(t, "acme", calls[i]["client"])
		assert.Equal(t, "viewer", calls[i]["role"])
		assert.GreaterOrEqual(t, calls[i]["duration_ms"], 0.0)
	}
	assert.Equal(t, map[string]any{"text": "hello", "password": "[redacted]"}, calls[0]["arguments"])
	assert.Contains(t, calls[2]["reason"], "for the role manager")
	assert.Equal(t, "portal://goals", g.records(t, "resource read")[0]["resource"])
	assert.Equal(t, "portal://goals/[redacted]", g.records(t, "resource read")[1]["resource"])
	assert.Equal(t, "weekly", g.records(t, "prompt get")[0]["prompt"])
	assert.NotContains(t, g.log.String(), "hunter2")
}

func TestACallThatIsGivenUpIsRecordedAsSuch(t *testing.T) {
	g := newGuarded(guard.Options{})
	running := make(chan struct{})
	g.add("slow", guard.Viewer, true, func(ctx context.Context) (string, error) {
		close(running)
		<-ctx.Done()
		return "", ctx.Err()
	})
	session := g.as(t, person("ada@example.com"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-running; cancel() }()
	_, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "slow"})
	require.Error(t, err)
	require.Eventually(t, func() bool { return len(g.records(t, "tool call")) == 1 }, time.Minute, time.Millisecond)
	assert.Equal(t, guard.OutcomeCancelled, g.records(t, "tool call")[0]["outcome"])
}

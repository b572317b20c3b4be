package main

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/portal"
)

// configured puts the sample portal behind an endpoint that BERTH_CONFIG configures.
func configured(t *testing.T, settings string) (*mcp.ClientSession, error) {
	t.Helper()
	cfg, err := loadConfig(env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "BERTH_CONFIG": settings}.get)
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	p, err := portal.New(portal.Options{Client: "acme", Logger: logger})
	require.NoError(t, err)
	handler, err := newHandler(t.Context(), cfg, logger, p, nil)
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).
		Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp", MaxRetries: -1}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session, nil
}

func TestNewHandler_SwitchesOffToolsResourcesAndPromptsByName(t *testing.T) {
	session, err := configured(t, `
access:
  tools: {deny: [search]}
  resources: {deny: ["portal://goals/{id}"]}
  prompts: {allow: [weekly_status]}
`)
	require.NoError(t, err)
	tool, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "search", Arguments: map[string]any{"words": "x"}})
	require.NoError(t, err)
	assert.True(t, tool.IsError)
	read := func(uri string) error {
		_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		return err
	}
	assert.NoError(t, read("portal://goals"))
	assert.NoError(t, read("portal://deliverables/D1"))
	assert.ErrorContains(t, read("portal://goals/G1"), "switched off the resource portal://goals/{id}")
	templates, err := session.ListResourceTemplates(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, templates.ResourceTemplates, 1)
	_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "weekly_status"})
	assert.NoError(t, err)
	_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "plan_next_deliverable", Arguments: map[string]string{"goal": "G1"}})
	assert.ErrorContains(t, err, "switched off the prompt plan_next_deliverable")
}

func TestNewHandler_ServesEverythingByDefault(t *testing.T) {
	session, err := configured(t, "access: {default: viewer, tools: {deny: [search]}}") // as before there were other lists
	require.NoError(t, err)
	resources, err := session.ListResources(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, resources.Resources, 2)
	templates, err := session.ListResourceTemplates(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, templates.ResourceTemplates, 2)
	prompts, err := session.ListPrompts(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, prompts.Prompts, 2)
}

func TestNewHandler_NamesWhatTheAccessRulesMisspell(t *testing.T) {
	_, err := configured(t, "access: {tools: {deny: [serach]}, resources: {deny: [portal://goal]}, prompts: {deny: [weekly]}}")
	for _, problem := range []string{
		`BERTH_CONFIG: access.tools.deny: there is no tool "serach"; the tools are due_or_blocked, `,
		`access.resources.deny: there is no resource "portal://goal"; the resources are portal://deliverables, portal://deliverables/{id}, portal://goals, portal://goals/{id}`,
		`access.prompts.deny: there is no prompt "weekly"; the prompts are plan_next_deliverable, weekly_status`,
	} {
		assert.ErrorContains(t, err, problem)
	}
}

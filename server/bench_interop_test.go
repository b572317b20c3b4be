//go:build interop

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/nodejs"
)

// The official TypeScript SDK, and the web framework that its examples use.
const (
	typescriptSDK = "@modelcontextprotocol/sdk@1.29.0"
	express       = "express@5.1.0"
)

// typescriptServer is the server of the SDK's own examples: stateless, a server and a
// transport for each request, and the older transport beside it.
const typescriptServer = `
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { SSEServerTransport } = require('@modelcontextprotocol/sdk/server/sse.js');
const express = require('express');
const goal = { ID: 'G1', Title: 'Order spare parts without a phone call', Status: 'active', Target: '2027-01-29' };
const result = { goals: [goal, goal, goal] };
function create() {
  const server = new McpServer({ name: 'typescript', version: '1' });
  server.registerTool('list_goals', { inputSchema: {} }, async () => (
    { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: result }));
  return server;
}
const app = express();
app.use(express.json());
app.post('/mcp', async (req, res) => {
  const server = create();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on('close', () => { transport.close(); server.close(); });
  await server.connect(transport);
  await transport.handleRequest(req, res, req.body);
});
app.get('/sse', async (req, res) => { await create().connect(new SSEServerTransport('/messages', res)); });
const listener = app.listen(0, '127.0.0.1', () => console.log('listening 127.0.0.1:' + listener.address().port));
`

var typescript = struct {
	nodejs.Node
	installed bool
}{}

func init() {
	contenders = append(contenders, contender{"typescript-sdk", func(b *testing.B) *exec.Cmd {
		script := filepath.Join(buildDir, "server.js")
		if !typescript.installed {
			typescript.Node = nodejs.InstallIn(b, buildDir, typescriptSDK, express)
			require.NoError(b, os.WriteFile(script, []byte(typescriptServer), 0o600))
			typescript.installed = true
		}
		return exec.CommandContext(b.Context(), typescript.Binary, script)
	}})
}

package enginetest

import (
	"maps"
	"net/http"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/stretchr/testify/require"
)

// Client is a client's stack in a test: settings that change from one update to the
// next.
type Client struct {
	Config  map[string]any
	Secrets map[string]string // by the path of the setting

	cloud *localcloud.Cloud
	dir   string
	name  string
}

// Deploy gives a client with a [Teller] for its server. Nothing is deployed before
// [Client.Up].
func Deploy(t *testing.T, cloud *localcloud.Cloud, dir, name string, config map[string]any) *Client {
	t.Helper()
	c := &Client{cloud: cloud, dir: dir, name: name, Config: map[string]any{"berth:build": Teller(t)}}
	return c.Set(config)
}

// Set changes settings for the next update.
func (c *Client) Set(config map[string]any) *Client {
	maps.Copy(c.Config, config)
	return c
}

// Stack is the client's stack with the settings as they are now.
func (c *Client) Stack(t *testing.T) auto.Stack {
	t.Helper()
	stack := Stack(t, c.cloud, c.dir, c.name, c.Config)
	for path, value := range c.Secrets {
		require.NoError(t, stack.SetConfigWithOptions(t.Context(), path, auto.ConfigValue{Value: value, Secret: true}, &auto.ConfigOptions{Path: true}))
	}
	return stack
}

// Up is [Up] of the client.
func (c *Client) Up(t *testing.T) (auto.OutputMap, map[string]int) {
	t.Helper()
	return Up(t, c.Stack(t))
}

// Destroy takes the client down.
func (c *Client) Destroy(t *testing.T) {
	t.Helper()
	stack := c.Stack(t)
	_, err := stack.Destroy(t.Context())
	require.NoError(t, err)
}

// Said is what the client's server answers to Ada.
func (c *Client) Said(t *testing.T, outputs auto.OutputMap, path string) string {
	t.Helper()
	status, body := Get(t, c.cloud, Ada, outputs["url"].Value.(string)+path)
	require.Equal(t, http.StatusOK, status, body)
	return body
}

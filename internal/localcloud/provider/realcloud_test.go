package provider

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
)

// realCloud is the APIs themselves, with nothing to run services on.
type realCloud struct {
	*apis.APIs
	url, token string
	people     *identity.Directory
}

const reader = "serviceAccount:reader@p1.iam.gserviceaccount.com"

// newRealCloud has the project p1, whose owner asks, and one service account.
func newRealCloud(t *testing.T, enabled ...string) (*realCloud, *engine) {
	t.Helper()
	const owner = "owner@example.com"
	people, err := identity.New(identity.Options{Issuer: "http://127.0.0.1:1"})
	require.NoError(t, err)
	require.NoError(t, people.AddPerson(owner))
	require.NoError(t, people.AddServiceAccount("reader@p1.iam.gserviceaccount.com"))
	cloud := &realCloud{people: people}
	cloud.token, err = people.AccessToken(owner)
	require.NoError(t, err)
	cloud.APIs, err = apis.New(apis.Options{
		Platform: nowhere{}, ServiceAccounts: people, Authenticate: people.Authenticate,
		MemberExists: people.Exists, Allows: people.Allows, Groups: people, Customer: "C0123abcd",
		Projects: map[string]int64{"p1": 4711}, Owners: []string{owner}, RegistryHost: "127.0.0.1:1",
	})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	// One address does for both: no bucket here is named as an API's path begins.
	mux := http.NewServeMux()
	mux.Handle("/", cloud.Handler())
	mux.Handle("/storage/v1/", cloud.Storage())
	mux.Handle("/upload/storage/v1/", cloud.Storage())
	server := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		require.NoError(t, cloud.Close(context.Background()))
	})
	cloud.url = "http://" + listener.Addr().String()
	e := configured(t, configOf(cloud.url), map[string]any{"accessToken": cloud.token})
	for _, name := range enabled {
		e.create(enableToken, map[string]any{"service": name})
	}
	return cloud, e
}

// nowhere is a platform on which nothing runs.
type nowhere struct{}

func (nowhere) Deploy(context.Context, *runpb.Service, string) (string, error) {
	return "http://127.0.0.1:1", nil
}
func (nowhere) Remove(context.Context, string) error { return nil }

func decodeJSON(t *testing.T, from io.Reader) map[string]any {
	t.Helper()
	object := map[string]any{}
	require.NoError(t, json.NewDecoder(from).Decode(&object))
	return object
}

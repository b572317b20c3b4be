package provider

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/berth-mcp/berth/internal/leaktest"
)

// The types under test.
const (
	serviceToken    = "gcp:cloudrunv2/service:Service"
	bindingToken    = "gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding"
	accountToken    = "gcp:serviceaccount/account:Account"
	repositoryToken = "gcp:artifactregistry/repository:Repository"
	enableToken     = "gcp:projects/service:Service"
)

// unknownText is how the engine writes a value that is not known yet.
const unknownText = plugin.UnknownStringValue

// engine speaks to a provider as Pulumi's does: over gRPC, on a connection of
// its own.
type engine struct {
	t   *testing.T
	rpc pulumirpc.ResourceProviderClient
}

func TestMain(m *testing.M) {
	// The SDK links a logger that flushes for as long as the process lives.
	// So does what the store of objects links.
	os.Exit(leaktest.Main(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start")))
}

func serve(t *testing.T) *Server {
	t.Helper()
	s, err := Serve(context.Background(), Options{Nonce: "n-1"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func connect(t *testing.T, s *Server) *engine {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", s.Port()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &engine{t: t, rpc: pulumirpc.NewResourceProviderClient(conn)}
}

// attach is an engine whose provider is configured for the cloud.
func attach(t *testing.T, cloud *fakeCloud, changes ...map[string]any) *engine {
	t.Helper()
	return configured(t, cloud.config(), changes...)
}

func configured(t *testing.T, config map[string]any, changes ...map[string]any) *engine {
	t.Helper()
	e := connect(t, serve(t))
	for _, change := range changes {
		for k, v := range change {
			config[k] = v
		}
	}
	_, err := e.rpc.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: toStruct(t, config)})
	require.NoError(t, err)
	return e
}

func toStruct(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := marshal(resource.NewPropertyMapFromMap(m))
	require.NoError(t, err)
	return s
}

func fromStruct(t *testing.T, s *structpb.Struct) map[string]any {
	t.Helper()
	return s.AsMap()
}

func urnOf(token string) string {
	return "urn:pulumi:dev::berth::" + token + "::thing"
}

func (e *engine) check(token string, news map[string]any) (map[string]any, []*pulumirpc.CheckFailure) {
	e.t.Helper()
	resp, err := e.rpc.Check(e.t.Context(), &pulumirpc.CheckRequest{Urn: urnOf(token), News: toStruct(e.t, news), RandomSeed: []byte("seed")})
	require.NoError(e.t, err)
	return fromStruct(e.t, resp.GetInputs()), resp.GetFailures()
}

func (e *engine) checked(token string, news map[string]any) map[string]any {
	e.t.Helper()
	inputs, failures := e.check(token, news)
	require.Empty(e.t, failures)
	return inputs
}

// thing is a resource as the engine's state file has it.
type thing struct {
	token, id     string
	inputs, state map[string]any
}

func (e *engine) create(token string, news map[string]any) thing {
	e.t.Helper()
	inputs := e.checked(token, news)
	resp, err := e.rpc.Create(e.t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(token), Properties: toStruct(e.t, inputs)})
	require.NoError(e.t, err)
	return thing{token, resp.GetId(), inputs, fromStruct(e.t, resp.GetProperties())}
}

func (e *engine) diff(r thing, news map[string]any, ignore ...string) *pulumirpc.DiffResponse {
	e.t.Helper()
	resp, err := e.rpc.Diff(e.t.Context(), &pulumirpc.DiffRequest{
		Id: r.id, Urn: urnOf(r.token), Olds: toStruct(e.t, r.state), OldInputs: toStruct(e.t, r.inputs),
		News: toStruct(e.t, e.checked(r.token, news)), IgnoreChanges: ignore,
	})
	require.NoError(e.t, err)
	return resp
}

// update goes the whole way: check, diff, update.
func (e *engine) update(r thing, news map[string]any) thing {
	e.t.Helper()
	inputs := e.checked(r.token, news)
	resp, err := e.rpc.Update(e.t.Context(), &pulumirpc.UpdateRequest{
		Id: r.id, Urn: urnOf(r.token), Olds: toStruct(e.t, r.state), News: toStruct(e.t, inputs),
	})
	require.NoError(e.t, err)
	return thing{r.token, r.id, inputs, fromStruct(e.t, resp.GetProperties())}
}

// refresh reads; gone resources have no id.
func (e *engine) refresh(r thing) thing {
	e.t.Helper()
	resp, err := e.rpc.Read(e.t.Context(), &pulumirpc.ReadRequest{
		Id: r.id, Urn: urnOf(r.token), Properties: toStruct(e.t, r.state), Inputs: toStruct(e.t, r.inputs),
	})
	require.NoError(e.t, err)
	return thing{r.token, resp.GetId(), fromStruct(e.t, resp.GetInputs()), fromStruct(e.t, resp.GetProperties())}
}

func (e *engine) delete(r thing) error {
	_, err := e.rpc.Delete(e.t.Context(), &pulumirpc.DeleteRequest{Id: r.id, Urn: urnOf(r.token), Properties: toStruct(e.t, r.state)})
	return err
}

// at follows a path of keys and indexes.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// edited is a deep copy of a program's inputs with one value changed; nil
// removes it.
func edited(t *testing.T, inputs map[string]any, value any, path ...any) map[string]any {
	t.Helper()
	s, err := structpb.NewStruct(inputs)
	require.NoError(t, err)
	result := s.AsMap()
	var v any = result
	for _, p := range path[:len(path)-1] {
		v = at(v, p)
	}
	switch last := path[len(path)-1].(type) {
	case string:
		m, ok := v.(map[string]any)
		require.True(t, ok, "no object at %v", path)
		if value == nil {
			delete(m, last)
		} else {
			m[last] = value
		}
	case int:
		l, ok := v.([]any)
		require.True(t, ok, "no list at %v", path)
		l[last] = value
	}
	return result
}

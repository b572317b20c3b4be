package client

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// small is the least that NewServer takes.
func small(client string) *ServerArgs {
	args := Defaults()
	args.Client, args.Project, args.Region = client, "acme-prod", "europe-west1"
	args.Developers = []string{"group:" + client + "@example.com"}
	args.Image = prebuilt
	return args
}

// declared runs a program of somebody else's.
func declared(t *testing.T, body pulumi.RunFunc) (*recorder, error) {
	t.Helper()
	r := &recorder{}
	return r, program(t, body, settings{}, r)
}

func TestOneProgramDeclaresSeveralServers(t *testing.T) {
	r, err := declared(t, func(ctx *pulumi.Context) error {
		for _, client := range []string{"acme", "globex"} {
			if _, err := NewServer(ctx, client, small(client)); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	urns := map[string]bool{}
	for _, res := range r.resources {
		key := res.TypeToken + " " + res.Name
		assert.False(t, urns[key], "%s is declared twice", key)
		urns[key] = true
		if res.TypeToken != componentType {
			assert.Contains(t, res.RegisterRPC.GetParent(), componentType, "%s is a child of its server", key)
		}
	}
	assert.True(t, urns["gcp:cloudrunv2/service:Service acme-service"])
	assert.True(t, urns["gcp:cloudrunv2/service:Service globex-service"])
}

func TestATransformationChangesWhatHasNoArgument(t *testing.T) {
	args := small("acme")
	args.Transformations = []pulumi.ResourceTransformation{func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		if service, ok := r.Props.(*cloudrunv2.ServiceArgs); ok {
			service.DefaultUriDisabled = pulumi.Bool(true)
		}
		return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
	}}
	r, err := declared(t, func(ctx *pulumi.Context) error {
		_, err := NewServer(ctx, "acme", args)
		return err
	})
	require.NoError(t, err)
	assert.Equal(t, true, plain(r.one(t, "gcp:cloudrunv2/service:Service").Inputs)["defaultUriDisabled"])
}

func TestATransformationThatBreaksAPolicyStopsBeforeAnythingIsDeclared(t *testing.T) {
	tests := map[string]struct {
		change func(props pulumi.Input)
		says   string
	}{
		"a service open to the world": {func(props pulumi.Input) {
			if service, ok := props.(*cloudrunv2.ServiceArgs); ok {
				service.InvokerIamDisabled = pulumi.Bool(true)
			}
		}, "invokerIamDisabled"},
		"a binding open to the world": {func(props pulumi.Input) {
			if binding, ok := props.(*cloudrunv2.ServiceIamBindingArgs); ok {
				binding.Members = pulumi.StringArray{pulumi.String("allUsers")}
			}
		}, "allusers"},
		"a public bucket": {func(props pulumi.Input) {
			if bucket, ok := props.(*storage.BucketArgs); ok {
				bucket.PublicAccessPrevention = pulumi.String("inherited")
			}
		}, "publicAccessPrevention"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			args := small("acme")
			args.Data.Enabled = true
			args.Transformations = []pulumi.ResourceTransformation{func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				test.change(r.Props)
				return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
			}}
			r, err := declared(t, func(ctx *pulumi.Context) error {
				_, err := NewServer(ctx, "acme", args)
				return err
			})
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "breaks the policies, and nothing was changed")
			assert.Empty(t, r.resources)
		})
	}
}

func TestWrongArgumentsAreReportedWithTheServersName(t *testing.T) {
	r, err := declared(t, func(ctx *pulumi.Context) error {
		_, err := NewServer(ctx, "first", &ServerArgs{Client: "acme"})
		return err
	})
	require.ErrorContains(t, err, "the server first has problems, and nothing was changed")
	for _, key := range []string{"gcp:project", "gcp:region", "berth:developers", "berth:cpu"} {
		assert.ErrorContains(t, err, key)
	}
	assert.Empty(t, r.resources)
}

func TestASecretThatIsAnotherResourcesOutputIsNotWaitedForByThePlan(t *testing.T) {
	r, err := declared(t, func(ctx *pulumi.Context) error {
		never, resolve, _ := ctx.NewOutput()
		args := small("acme")
		args.Secrets = map[string]Secret{"TOKEN": {Value: pulumi.StringOutput(never.ApplyT(func(v any) string { return v.(string) }).(pulumi.StringOutput))}}
		_, err := NewServer(ctx, "acme", args)
		resolve("hunter2") // only now: a plan that waited would hang
		return err
	})
	require.NoError(t, err)
	version := r.one(t, "gcp:secretmanager/secretVersion:SecretVersion")
	require.True(t, version.Inputs["secretData"].IsSecret(), "it is secret in the state")
	assert.Equal(t, "hunter2", version.Inputs["secretData"].SecretValue().Element.StringValue())
}

func TestASecretInPlainTextIsRefusedAndNotShown(t *testing.T) {
	config := valid(settings{"berth:secrets": settings{"TOKEN": settings{"value": "hunter2"}}})
	r, err := run(t, config)
	require.ErrorContains(t, err, "berth:secrets.TOKEN.value")
	require.ErrorContains(t, err, "pulumi config set --secret --path 'berth:secrets.TOKEN.value'")
	assert.NotContains(t, err.Error(), "hunter2")
	assert.Empty(t, r.resources)

	_, err = run(t, config, "berth:secrets")
	assert.NoError(t, err)
}

func TestProtectedDataCannotGoAndLetGoItGoesWithAllItHolds(t *testing.T) {
	r, err := run(t, valid(settings{"berth:data": settings{"enabled": true, "versioning": false, "retentionDays": 30}}))
	require.NoError(t, err)
	bucket := r.one(t, "gcp:storage/bucket:Bucket")
	assert.True(t, bucket.RegisterRPC.GetProtect())
	assert.Equal(t, false, plain(bucket.Inputs)["forceDestroy"])
	assert.Contains(t, plain(bucket.Inputs), "retentionPolicy")

	r, err = run(t, valid(settings{"berth:data": settings{"enabled": true, "versioning": false, "retentionDays": 30, "protect": false}}))
	require.NoError(t, err)
	bucket = r.one(t, "gcp:storage/bucket:Bucket")
	assert.False(t, bucket.RegisterRPC.GetProtect())
	assert.Equal(t, true, plain(bucket.Inputs)["forceDestroy"])
	assert.NotContains(t, plain(bucket.Inputs), "retentionPolicy", "what is retained could not be deleted")
}

func TestTheLatencyMetricReadsTheRecordsThatTheServerWrites(t *testing.T) {
	var out bytes.Buffer
	g := guard.New(&mcp.Implementation{Name: "s", Version: "1"}, guard.Options{Client: "acme", Logger: cloudlog.New(&out, slog.LevelInfo, "acme-prod")})
	guard.AddTool(g, guard.None, &mcp.Tool{Name: "ping"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	})
	near, far := mcp.NewInMemoryTransports()
	_, err := g.Connect(t.Context(), near)
	require.NoError(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(), far, nil)
	require.NoError(t, err)
	_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "ping"})

	var record map[string]any
	require.NoError(t, json.Unmarshal([]byte(strings.Split(out.String(), "\n")[0]), &record))
	metric := logMetrics[2]
	require.Equal(t, "tool_latency", metric.name)
	assert.Contains(t, metric.filter, `jsonPayload.message="`+record["message"].(string)+`"`)
	field := strings.TrimPrefix(metric.value, "jsonPayload.")
	assert.IsType(t, float64(0), record[field], "the record has no number %s: %v", field, record)
	for _, counted := range []string{guard.OutcomeOK, guard.OutcomeToolError, guard.OutcomeError, guard.OutcomeTimeout} {
		assert.Contains(t, metric.filter, `"`+counted+`"`)
	}
	for _, left := range []string{guard.OutcomeCancelled, guard.OutcomeRefused} {
		assert.NotContains(t, metric.filter, `"`+left+`"`, "its duration says nothing of the tool")
	}
}

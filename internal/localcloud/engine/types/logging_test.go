package types_test

import (
	"testing"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	api "google.golang.org/api/logging/v2"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

// logs are a log bucket with a sink that fills it, and two metrics.
type logs struct {
	bucket, filter string
	retention      int
}

func (l logs) declare(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
	bucket, err := logging.NewProjectBucketConfig(ctx, "kept", &logging.ProjectBucketConfigArgs{
		Project: pulumi.String(enginetest.Project), Location: pulumi.String("europe-west1"), BucketId: pulumi.String(l.bucket),
		RetentionDays: pulumi.Int(l.retention), Description: pulumi.String("kept for long"), EnableAnalytics: pulumi.Bool(true),
	}, enabled)
	if err != nil {
		return err
	}
	sink, err := logging.NewProjectSink(ctx, "kept", &logging.ProjectSinkArgs{
		Name: pulumi.String("kept"), Destination: pulumi.Sprintf("logging.googleapis.com/%s", bucket.ID()), Filter: pulumi.String(l.filter),
		UniqueWriterIdentity: pulumi.Bool(true),
	})
	if err != nil {
		return err
	}
	ctx.Export("writer", sink.WriterIdentity)
	if _, err := logging.NewMetric(ctx, "refused", &logging.MetricArgs{
		Name: pulumi.String("berth/acme/refused"), Filter: pulumi.String(l.filter),
	}, enabled); err != nil {
		return err
	}
	_, err = logging.NewMetric(ctx, "latency", &logging.MetricArgs{
		Name: pulumi.String("berth/acme/latency"), Filter: pulumi.String(l.filter),
		ValueExtractor:  pulumi.String("EXTRACT(jsonPayload.ms)"),
		LabelExtractors: pulumi.StringMap{"tool": pulumi.String("EXTRACT(jsonPayload.tool)")},
		MetricDescriptor: logging.MetricMetricDescriptorArgs{
			MetricKind: pulumi.String("DELTA"), ValueType: pulumi.String("DISTRIBUTION"), Unit: pulumi.String("ms"),
			Labels: logging.MetricMetricDescriptorLabelArray{logging.MetricMetricDescriptorLabelArgs{Key: pulumi.String("tool"), ValueType: pulumi.String("STRING")}},
		},
		BucketOptions: logging.MetricBucketOptionsArgs{ExponentialBuckets: logging.MetricBucketOptionsExponentialBucketsArgs{
			NumFiniteBuckets: pulumi.Int(20), GrowthFactor: pulumi.Float64(1.5), Scale: pulumi.Float64(1)}},
	}, enabled)
	return err
}

func TestLogsAreKeptCountedAndLetGo(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	want := logs{bucket: "kept", filter: `resource.type="cloud_run_revision"`, retention: 90}
	stack := func() auto.Stack {
		return enginetest.Program(t, cloud, dir, []string{"logging.googleapis.com"}, want.declare)
	}
	outputs, changed := enginetest.Up(t, stack())
	assert.Equal(t, map[string]int{"create": 6}, changed)
	assert.Empty(t, outputs["writer"].Value, "within a project logs go by themselves")
	enginetest.Settled(t, stack())

	t.Run("retention and filters change in place", func(t *testing.T) {
		want.retention, want.filter = 120, `resource.type="cloud_run_revision" AND severity>=WARNING`
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"update": 4}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("another bucket replaces it, and the sink follows", func(t *testing.T) {
		want.bucket = "kept-2"
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"replace": 1, "update": 1}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("the name of a deleted bucket is blocked for a week", func(t *testing.T) {
		want.bucket = "kept"
		one := stack()
		_, err := one.Up(t.Context())
		require.ErrorContains(t, err, "must be in an ACTIVE state")
		want.bucket = "kept-2"
		enginetest.Up(t, stack())
	})
	t.Run("destroy leaves nothing", func(t *testing.T) {
		enginetest.Destroyed(t, cloud, stack())
	})
}

func TestABucketThatIsThereIsTakenOver(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	retention := 60
	stack := func() auto.Stack {
		return enginetest.Program(t, cloud, dir, []string{"logging.googleapis.com"}, func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
			_, err := logging.NewProjectBucketConfig(ctx, "default", &logging.ProjectBucketConfigArgs{
				Project: pulumi.String(enginetest.Project), Location: pulumi.String("global"), BucketId: pulumi.String("_Default"), RetentionDays: pulumi.Int(retention),
			}, enabled)
			return err
		})
	}
	enginetest.Up(t, stack())
	enginetest.Settled(t, stack())
	one := stack()
	_, err := one.Destroy(t.Context())
	require.NoError(t, err)
	client, err := api.NewService(t.Context(), enginetest.API(cloud)...)
	require.NoError(t, err)
	bucket, err := client.Projects.Locations.Buckets.Get("projects/" + enginetest.Project + "/locations/global/buckets/_Default").Do()
	require.NoError(t, err)
	assert.Equal(t, int64(60), bucket.RetentionDays, "let go as it was left")
	assert.Equal(t, "ACTIVE", bucket.LifecycleState)
}

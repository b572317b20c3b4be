package apis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/logging/v2"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

func newLogs(t *testing.T) (*cloud, *logging.Service, *later) {
	t.Helper()
	clock := &later{}
	c := newCloud(t, func(o *apis.Options) { o.Now = clock.now })
	c.enable(t, "logging.googleapis.com")
	client, err := logging.NewService(t.Context(), c.restOptions("owner-token")...)
	require.NoError(t, err)
	return c, client, clock
}

const project = "projects/" + projectID

func TestALogBucketRestsForAWeekBeforeItsNameIsFree(t *testing.T) {
	c, client, clock := newLogs(t)
	buckets := client.Projects.Locations.Buckets
	const name = parent + "/buckets/kept"
	made, err := buckets.Create(parent, &logging.LogBucket{}).BucketId("kept").Do()
	require.NoError(t, err)
	assert.Equal(t, int64(30), made.RetentionDays)
	assert.Equal(t, "ACTIVE", made.LifecycleState)
	_, err = buckets.Patch(name, &logging.LogBucket{RetentionDays: 90, AnalyticsEnabled: true}).UpdateMask("retentionDays,analyticsEnabled").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"//logging.googleapis.com/" + name}, c.apis.Inventory())
	_, err = buckets.Patch(name, &logging.LogBucket{RetentionDays: 4000}).UpdateMask("retentionDays,analyticsEnabled").Do()
	require.ErrorContains(t, err, "4000 is not 1 to 3650")
	require.ErrorContains(t, err, "Log Analytics cannot be turned off")

	_, err = buckets.Delete(name).Do()
	require.NoError(t, err)
	assert.Empty(t, c.apis.Inventory())
	resting, err := buckets.Get(name).Do()
	require.NoError(t, err)
	assert.Equal(t, "DELETE_REQUESTED", resting.LifecycleState)
	_, err = buckets.Create(parent, &logging.LogBucket{}).BucketId("kept").Do()
	require.ErrorContains(t, err, "already exists")
	_, err = buckets.Patch(name, &logging.LogBucket{RetentionDays: 10}).UpdateMask("retentionDays").Do()
	require.ErrorContains(t, err, "must be in an ACTIVE state")
	_, err = buckets.Delete(name).Do()
	require.ErrorContains(t, err, "deleted already")

	clock.advance(7 * 24 * time.Hour)
	_, err = buckets.Create(parent, &logging.LogBucket{}).BucketId("kept").Do()
	require.NoError(t, err)
}

func TestEveryProjectHasABucketAndASinkOfItsOwn(t *testing.T) {
	c, client, _ := newLogs(t)
	sinks, err := client.Projects.Sinks.List(project).Do()
	require.NoError(t, err)
	require.Len(t, sinks.Sinks, 2)
	bucket, err := client.Projects.Locations.Buckets.Get(project + "/locations/global/buckets/_Default").Do()
	require.NoError(t, err)
	assert.Equal(t, int64(30), bucket.RetentionDays)
	assert.Empty(t, c.apis.Inventory())
	_, err = client.Projects.Locations.Buckets.Delete(bucket.Name).Do()
	require.ErrorContains(t, err, "cannot be deleted")
	_, err = client.Projects.Sinks.Delete(project + "/sinks/_Required").Do()
	require.ErrorContains(t, err, "cannot be deleted")
	_, err = client.Projects.Locations.Buckets.Patch(project+"/locations/global/buckets/_Required", &logging.LogBucket{RetentionDays: 1}).UpdateMask("retentionDays").Do()
	require.ErrorContains(t, err, "keeps its lock and its retention")
}

func TestWhoWritesWhatASinkRoutes(t *testing.T) {
	_, client, _ := newLogs(t)
	const own = "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
	for title, tt := range map[string]struct {
		destination, want string
		unique            bool
	}{
		"to a bucket of the project nobody":               {"logging.googleapis.com/" + parent + "/buckets/kept", "", true},
		"to another project the project's agent":          {"logging.googleapis.com/projects/other-dev/locations/global/buckets/_Default", own, true},
		"to storage the project's agent":                  {"storage.googleapis.com/acme-logs", own, true},
		"to a topic, unless asked for, an account of all": {"pubsub.googleapis.com/projects/acme-dev/topics/t", "serviceAccount:cloud-logs@system.gserviceaccount.com", false},
	} {
		t.Run(title, func(t *testing.T) {
			made, err := client.Projects.Sinks.Create(project, &logging.LogSink{Name: "out", Destination: tt.destination, Filter: "severity>=ERROR"}).UniqueWriterIdentity(tt.unique).Do()
			require.NoError(t, err)
			assert.Equal(t, tt.want, made.WriterIdentity)
			_, err = client.Projects.Sinks.Delete(project + "/sinks/out").Do()
			require.NoError(t, err)
		})
	}
}

func TestASinkChangesWhatItsMaskNames(t *testing.T) {
	_, client, _ := newLogs(t)
	sinks := client.Projects.Sinks
	_, err := sinks.Create(project, &logging.LogSink{Name: "out", Destination: "storage.googleapis.com/a", Filter: "a=1", Description: "x"}).UniqueWriterIdentity(true).Do()
	require.NoError(t, err)
	changed, err := sinks.Patch(project+"/sinks/out", &logging.LogSink{Filter: "a=2", Disabled: true}).UpdateMask("filter,disabled").UniqueWriterIdentity(true).Do()
	require.NoError(t, err)
	assert.Equal(t, []any{"a=2", true, "x", "storage.googleapis.com/a"}, []any{changed.Filter, changed.Disabled, changed.Description, changed.Destination})
	_, err = sinks.Patch(project+"/sinks/out", &logging.LogSink{Filter: "a=3"}).UpdateMask("filter").Do()
	require.ErrorContains(t, err, "unique_writer_identity cannot be turned off")
	_, err = sinks.Create(project, &logging.LogSink{Name: "/", Destination: "https://evil.example", Filter: `a="`,
		Exclusions: []*logging.LogExclusion{{Name: "x", Filter: "a AND"}, {Name: "x", Filter: "b"}}}).Do()
	for _, field := range []string{"sink.name", "sink.destination", "sink.filter", "sink.exclusions[0].filter", "sink.exclusions[1].name"} {
		require.ErrorContains(t, err, field)
	}
}

func TestALogMetricHasADescriptorOfItsOwn(t *testing.T) {
	c, client, _ := newLogs(t)
	metrics := client.Projects.Metrics
	const name = "berth/acme/latency"
	made, err := metrics.Create(project, &logging.LogMetric{
		Name: name, Filter: `resource.type="cloud_run_revision" AND jsonPayload.tool:*`, ValueExtractor: "EXTRACT(jsonPayload.ms)",
		LabelExtractors:  map[string]string{"tool": "EXTRACT(jsonPayload.tool)"},
		MetricDescriptor: &logging.MetricDescriptor{MetricKind: "DELTA", ValueType: "DISTRIBUTION", Unit: "ms", Labels: []*logging.LabelDescriptor{{Key: "tool", ValueType: "STRING"}}},
		BucketOptions:    &logging.BucketOptions{ExponentialBuckets: &logging.Exponential{NumFiniteBuckets: 20, GrowthFactor: 2, Scale: 1}},
	}).Do()
	require.NoError(t, err)
	assert.Equal(t, "logging.googleapis.com/user/"+name, made.MetricDescriptor.Type)
	assert.Empty(t, made.MetricDescriptor.Labels[0].ValueType, "a zero is left out")
	const full = project + "/metrics/berth%2Facme%2Flatency"
	assert.Equal(t, []string{"//logging.googleapis.com/" + full}, c.apis.Inventory())

	counter, err := metrics.Update(full, &logging.LogMetric{Name: name, Filter: "severity=ERROR"}).Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"DELTA", "INT64", "1"}, []string{counter.MetricDescriptor.MetricKind, counter.MetricDescriptor.ValueType, counter.MetricDescriptor.Unit})
	read, err := metrics.Get(full).Do()
	require.NoError(t, err)
	assert.Equal(t, made.CreateTime, read.CreateTime)
	listed, err := metrics.List(project).Do()
	require.NoError(t, err)
	assert.Len(t, listed.Metrics, 1)
	_, err = metrics.Delete(full).Do()
	require.NoError(t, err)
	_, err = metrics.Get(full).Do()
	require.ErrorContains(t, err, "does not exist")
}

func TestALogMetricThatCannotBeIsRefusedWithEveryProblem(t *testing.T) {
	c, client, _ := newLogs(t)
	for title, tt := range map[string]struct {
		metric logging.LogMetric
		want   []string
	}{
		"no filter and no name":        {logging.LogMetric{}, []string{"metric.name", "metric.filter"}},
		"a filter that cannot be read": {logging.LogMetric{Name: "m", Filter: `(severity=ERROR`}, []string{"a parenthesis is not closed"}},
		"a distribution of nothing": {logging.LogMetric{Name: "m", Filter: "a", MetricDescriptor: &logging.MetricDescriptor{ValueType: "DISTRIBUTION"}},
			[]string{"metric.value_extractor"}},
		"a counter with a value": {logging.LogMetric{Name: "m", Filter: "a", ValueExtractor: "ms", BucketOptions: &logging.BucketOptions{LinearBuckets: &logging.Linear{Width: 1}}},
			[]string{"takes a DISTRIBUTION", `"ms" is not EXTRACT(FIELD)`, "metric.bucket_options"}},
		"a gauge of doubles": {logging.LogMetric{Name: "m", Filter: "a", MetricDescriptor: &logging.MetricDescriptor{MetricKind: "GAUGE", ValueType: "DOUBLE"}},
			[]string{"metric_descriptor.metric_kind", "metric_descriptor.value_type"}},
		"labels and extractors that do not match": {logging.LogMetric{Name: "m", Filter: "a", LabelExtractors: map[string]string{"x": "y"},
			MetricDescriptor: &logging.MetricDescriptor{Labels: []*logging.LabelDescriptor{{Key: "tool"}, {Key: "1"}}}},
			[]string{`"tool" has no extractor`, `"1" must begin with a letter`, `There is no label "x"`, `"y" is not EXTRACT`}},
	} {
		t.Run(title, func(t *testing.T) {
			_, err := client.Projects.Metrics.Create(project, &tt.metric).Do()
			for _, text := range tt.want {
				require.ErrorContains(t, err, text)
			}
			assert.Empty(t, c.apis.Inventory())
		})
	}
}

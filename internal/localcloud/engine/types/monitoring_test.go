package types_test

import (
	"testing"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

// watch is a channel, a metric, an alert on it and a dashboard.
type watch struct {
	kind, address string // of the channel
	threshold     float64
	metric        string // that the alert is on
	dashboard     string
}

func (w watch) declare(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
	channel, err := monitoring.NewNotificationChannel(ctx, "on-call", &monitoring.NotificationChannelArgs{
		DisplayName: pulumi.String("on call"), Type: pulumi.String(w.kind), Labels: pulumi.StringMap{map[string]string{"email": "email_address", "pubsub": "topic"}[w.kind]: pulumi.String(w.address)},
		UserLabels: pulumi.StringMap{"managed-by": pulumi.String("berth")}, ForceDelete: pulumi.Bool(false),
	}, enabled)
	if err != nil {
		return err
	}
	refused, err := logging.NewMetric(ctx, "refused", &logging.MetricArgs{
		Name: pulumi.String("berth/acme/refused"), Filter: pulumi.String(`resource.type="cloud_run_revision" AND httpRequest.status=(401 OR 403)`),
	}, enabled)
	if err != nil {
		return err
	}
	if _, err := monitoring.NewAlertPolicy(ctx, "refused", &monitoring.AlertPolicyArgs{
		DisplayName: pulumi.String("refused calls"), Combiner: pulumi.String("OR"), Severity: pulumi.String("WARNING"),
		NotificationChannels: pulumi.StringArray{channel.ID().ToStringOutput()},
		Documentation:        monitoring.AlertPolicyDocumentationArgs{Content: pulumi.String("Somebody knocks.")},
		AlertStrategy:        monitoring.AlertPolicyAlertStrategyArgs{AutoClose: pulumi.String("1800s")},
		Conditions: monitoring.AlertPolicyConditionArray{
			monitoring.AlertPolicyConditionArgs{
				DisplayName: pulumi.String("many"),
				ConditionThreshold: monitoring.AlertPolicyConditionConditionThresholdArgs{
					Filter:     pulumi.Sprintf(`resource.type="cloud_run_revision" AND metric.type="logging.googleapis.com/user/%s"`, w.metric),
					Comparison: pulumi.String("COMPARISON_GT"), ThresholdValue: pulumi.Float64(w.threshold), Duration: pulumi.String("0s"),
					Aggregations: monitoring.AlertPolicyConditionConditionThresholdAggregationArray{monitoring.AlertPolicyConditionConditionThresholdAggregationArgs{
						AlignmentPeriod: pulumi.String("300s"), PerSeriesAligner: pulumi.String("ALIGN_SUM"), CrossSeriesReducer: pulumi.String("REDUCE_NONE"),
					}},
				},
			},
			monitoring.AlertPolicyConditionArgs{
				DisplayName: pulumi.String("slow"),
				ConditionPrometheusQueryLanguage: monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs{
					Query:    pulumi.String(`sum(rate(logging_googleapis_com:user_berth_acme_refused{monitored_resource="cloud_run_revision"}[5m])) > 1`),
					Duration: pulumi.String("120s"), EvaluationInterval: pulumi.String("60s"),
				},
			},
		},
	}, pulumi.DependsOn([]pulumi.Resource{refused})); err != nil {
		return err
	}
	_, err = monitoring.NewDashboard(ctx, "acme", &monitoring.DashboardArgs{DashboardJson: pulumi.String(w.dashboard)}, enabled)
	return err
}

// board is a dashboard with one chart.
func board(title, position string) string {
	return `{"displayName":"` + title + `","mosaicLayout":{"columns":48,"tiles":[{` + position + `"width":24,"height":16,"widget":{"title":"Calls","xyChart":{"dataSets":[
		{"plotType":"LINE","targetAxis":"Y1","timeSeriesQuery":{"prometheusQuery":"sum(rate(run_googleapis_com:request_count[5m]))"}}]}}}]}}`
}

func TestAlertsChannelsAndDashboardsFollowTheirStack(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	want := watch{kind: "email", address: "on-call@example.com", threshold: 5, metric: "berth/acme/refused", dashboard: board("acme", "")}
	stack := func() auto.Stack {
		return enginetest.Program(t, cloud, dir, []string{"monitoring.googleapis.com", "logging.googleapis.com"}, want.declare)
	}
	_, changed := enginetest.Up(t, stack())
	assert.Equal(t, map[string]int{"create": 7}, changed)
	enginetest.Settled(t, stack())

	t.Run("everything changes in place", func(t *testing.T) {
		want.address, want.threshold, want.dashboard = "night@example.com", 0, board("acme at night", "")
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"update": 3}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("a channel of another type is changed, not made anew", func(t *testing.T) {
		want.kind, want.address = "pubsub", "projects/"+enginetest.Project+"/topics/alerts"
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"update": 1}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("a zero in a dashboard differs for ever", func(t *testing.T) {
		want.dashboard = board("acme", `"xPos":0,`)
		enginetest.Up(t, stack())
		one := stack()
		preview, err := one.Preview(t.Context(), optpreview.SuppressProgress())
		require.NoError(t, err)
		assert.Equal(t, 1, preview.ChangeSummary["update"])
		want.dashboard = board("acme", "")
		enginetest.Up(t, stack())
		enginetest.Settled(t, stack())
	})
	t.Run("an alert on a metric that is not there is refused", func(t *testing.T) {
		want.metric = "berth/acme/none"
		one := stack()
		_, err := one.Up(t.Context())
		require.ErrorContains(t, err, "Cannot find metric that matches type")
		want.metric = "berth/acme/refused"
		enginetest.Up(t, stack())
	})
	t.Run("destroy leaves nothing", func(t *testing.T) {
		enginetest.Destroyed(t, cloud, stack())
	})
}

package client

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// logMetric is a figure that Cloud Logging takes from the service's log.
type logMetric struct {
	name, description, unit string
	log                     string // which of the service's logs
	filter                  string
	value                   string // the field measured; empty means that records are counted
}

// The log metrics. Cloud Run's own figures count neither the refused, which never
// reach an instance, nor tool calls: a stream of an hour would be one slow request.
var logMetrics = []logMetric{
	{"refused", "Calls that Google's front end or the server refused", "1", "run.googleapis.com%2Frequests",
		`httpRequest.status=(401 OR 403)`, ""},
	{"start_failures", "Instances that failed to start", "1", "run.googleapis.com%2Fvarlog%2Fsystem",
		`severity>=ERROR AND textPayload=~"failed to start|STARTUP .* probe failed"`, ""},
	{"tool_latency", "Duration of tool calls", "ms", "run.googleapis.com%2Fstdout",
		`jsonPayload.message="tool call" AND jsonPayload.outcome=("ok" OR "tool_error" OR "error" OR "timeout")`, "jsonPayload.duration_ms"},
}

// newMonitoring watches the service, if that is wanted. It is there before the service,
// which it knows by name alone.
func (b *builder) newMonitoring() error {
	m := b.args.Monitoring
	if !m.Enabled {
		return nil
	}
	var after []pulumi.Resource
	for _, metric := range logMetrics {
		declared, err := b.newMetric(metric)
		if err != nil {
			return err
		}
		after = append(after, declared)
	}
	for _, alert := range b.args.alerts() {
		if err := b.newAlert(alert, after); err != nil {
			return err
		}
	}
	if !m.Dashboard {
		return nil
	}
	content, err := b.args.dashboard()
	if err != nil {
		return err
	}
	_, err = monitoring.NewDashboard(b.Context, b.child("dashboard"), &monitoring.DashboardArgs{
		Project:       pulumi.String(b.args.Project),
		DashboardJson: pulumi.String(content),
	}, b.options([]string{"monitoring"}, pulumi.DependsOn(after))...)
	return err
}

func (b *builder) newMetric(m logMetric) (*logging.Metric, error) {
	a := b.args
	args := &logging.MetricArgs{
		Project:     pulumi.String(a.Project),
		Name:        pulumi.String(a.name() + "/" + m.name),
		Description: pulumi.String(m.description + ", of the MCP server of " + a.Client),
		Filter: pulumi.String(fmt.Sprintf(`resource.type="cloud_run_revision" AND resource.labels.service_name=%q AND resource.labels.location=%q AND logName="projects/%s/logs/%s" AND %s`,
			a.name(), a.Region, a.Project, m.log, m.filter)),
		MetricDescriptor: &logging.MetricMetricDescriptorArgs{
			MetricKind: pulumi.String("DELTA"), ValueType: pulumi.String("INT64"), Unit: pulumi.String(m.unit),
		},
	}
	if m.value != "" {
		args.ValueExtractor = pulumi.String("EXTRACT(" + m.value + ")")
		args.MetricDescriptor = &logging.MetricMetricDescriptorArgs{
			MetricKind: pulumi.String("DELTA"), ValueType: pulumi.String("DISTRIBUTION"), Unit: pulumi.String(m.unit),
		}
		args.BucketOptions = &logging.MetricBucketOptionsArgs{ // 1 ms to an hour, each a quarter more than the one before
			ExponentialBuckets: &logging.MetricBucketOptionsExponentialBucketsArgs{
				NumFiniteBuckets: pulumi.Int(68), GrowthFactor: pulumi.Float64(1.25), Scale: pulumi.Float64(1),
			},
		}
	}
	return logging.NewMetric(b.Context, b.child("metric-"+m.name), args, b.options([]string{"logging"})...)
}

// alert is one thing that the operator is told.
type alert struct {
	name, title, meaning string
	query                string // PromQL; it alerts while it gives anything
	duration             int    // seconds that it must do so
}

// alerts are those that are wanted.
func (a *ServerArgs) alerts() []alert {
	m := a.Monitoring
	service := fmt.Sprintf(`service_name=%q,location=%q`, a.name(), a.Region)
	all := []struct {
		alert
		limit int
	}{
		{alert{"errors", "answers 5xx", "The server answered with 5xx. Its log says why.",
			fmt.Sprintf(`sum(increase(run_googleapis_com:request_count{monitored_resource="cloud_run_revision",response_code_class="5xx",%s}[5m])) >= %d`, service, m.Errors), 0}, m.Errors},
		{alert{"refused", "refuses many calls", "Somebody without access keeps calling, or a developer has lost theirs. The request log has the times and addresses; `berth:developers` says who may call.",
			fmt.Sprintf(`sum(increase(%s{monitored_resource="cloud_run_revision"}[5m])) >= %d`, a.userMetric("refused"), m.Refused), 0}, m.Refused},
		{alert{"latency", "has slow tools", "Of 100 tool calls, more than 5 took longer than they should. The records \"tool call\" in the log name the tools.",
			fmt.Sprintf(`histogram_quantile(0.95, sum by (le) (increase(%s_bucket{monitored_resource="cloud_run_revision"}[5m]))) > %d`, a.userMetric("tool_latency"), m.LatencyMS), 0}, m.LatencyMS},
		{alert{"start-failures", "does not start", "Instances fail to start: a secret that is gone, a wrong variable, too little memory. The log says which.",
			fmt.Sprintf(`sum(increase(%s{monitored_resource="cloud_run_revision"}[5m])) >= %d`, a.userMetric("start_failures"), m.Starts), 0}, m.Starts},
		{alert{"at-maximum", "is at its maximum of instances", "More calls are queued, then refused. Raise `berth:maxInstances` or `berth:concurrency`.",
			fmt.Sprintf(`sum(max_over_time(run_googleapis_com:container_instance_count{monitored_resource="cloud_run_revision",state="active",%s}[1m])) >= %d`, service, a.MaxInstances), m.AtMaxPeriod}, m.AtMaxPeriod},
	}
	var wanted []alert
	for _, one := range all {
		if one.limit > 0 {
			wanted = append(wanted, one.alert)
		}
	}
	return wanted
}

// userMetric is a log metric's name in PromQL, which has no other signs.
func (a *ServerArgs) userMetric(name string) string {
	return "logging_googleapis_com:user_" + strings.ReplaceAll(a.name(), "-", "_") + "_" + name
}

func (b *builder) newAlert(al alert, after []pulumi.Resource) error {
	a := b.args
	_, err := monitoring.NewAlertPolicy(b.Context, b.child("alert-"+al.name), &monitoring.AlertPolicyArgs{
		Project:     pulumi.String(a.Project),
		DisplayName: pulumi.String(a.name() + " " + al.title),
		Combiner:    pulumi.String("OR"),
		Severity:    pulumi.String("WARNING"),
		UserLabels:  a.labels(),
		Documentation: &monitoring.AlertPolicyDocumentationArgs{
			Content: pulumi.String(al.meaning), MimeType: pulumi.String("text/markdown"),
		},
		NotificationChannels: list(a.Monitoring.Channels),
		Conditions: monitoring.AlertPolicyConditionArray{&monitoring.AlertPolicyConditionArgs{
			DisplayName: pulumi.String(al.title),
			ConditionPrometheusQueryLanguage: &monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs{
				Query:              pulumi.String(al.query),
				Duration:           pulumi.String(fmt.Sprintf("%ds", al.duration)),
				EvaluationInterval: pulumi.String("60s"),
				// A new metric is not known to Monitoring for ten minutes, and a
				// service has no figures before its first call.
				DisableMetricValidation: pulumi.Bool(true),
			},
		}},
	}, b.options([]string{"monitoring"}, pulumi.DependsOn(after))...)
	return err
}

package apis

import (
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metricNames knows which metrics there are to alert on.
type metricNames struct {
	logMetrics *shelf[*loggingpb.LogMetric]
}

// runMetrics are Cloud Run's own, below run.googleapis.com/, after
// https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run.
var runMetrics = strings.Fields(`
	container/billable_instance_time container/completed_probe_attempt_count container/completed_probe_count
	container/containers container/cpu/allocation_time container/cpu/usage container/cpu/utilizations
	container/instance_count container/max_request_concurrencies container/memory/allocation_time
	container/memory/usage container/memory/utilizations container/network/received_bytes_count
	container/network/sent_bytes_count container/network/throttled_inbound_bytes_count
	container/network/throttled_inbound_packets_count container/network/throttled_outbound_bytes_count
	container/network/throttled_outbound_packets_count container/probe_attempt_latencies container/probe_latencies
	container/startup_latencies pending_queue/pending_requests request_count request_latencies
	request_latency/e2e_latencies request_latency/ingress_to_region request_latency/pending
	request_latency/response_egress request_latency/routing request_latency/user_execution`)

// otherMetrics begin the names of metrics of other services.
var otherMetrics = []string{
	"artifactregistry.googleapis.com/", "logging.googleapis.com/byte_count", "logging.googleapis.com/log_entry_count",
	"monitoring.googleapis.com/", "pubsub.googleapis.com/", "secretmanager.googleapis.com/",
	"serviceruntime.googleapis.com/", "storage.googleapis.com/",
}

// resourceTypes are the monitored resources that these are about.
var resourceTypes = []string{
	"artifactregistry.googleapis.com/Project", "audited_resource", "cloud_run_job", "cloud_run_revision", "consumed_api",
	"gcs_bucket", "global", "logging_bucket", "logging_sink", "project", "pubsub_subscription", "pubsub_topic",
	"secretmanager.googleapis.com/Project", "uptime_url",
}

var (
	metricTypeIn   = regexp.MustCompile(`metric\.type\s*=\s*"([^"]*)"`)
	resourceTypeIn = regexp.MustCompile(`resource\.type\s*=\s*"([^"]*)"`)
	// promMetric is the name in PromQL of a metric of Google's.
	promMetric  = regexp.MustCompile(`\b([a-z_]+_googleapis_com):([A-Za-z_][A-Za-z0-9_]*)`)
	notInPromQL = regexp.MustCompile(`[^A-Za-z0-9_]`)
)

// check refuses a policy on metrics that there are not.
func (m *metricNames) check(project string, p *monitoringpb.AlertPolicy) error {
	for _, c := range p.GetConditions() {
		var filters []string
		if t := c.GetConditionThreshold(); t != nil {
			filters = append(filters, t.GetFilter())
			if t.GetDenominatorFilter() != "" {
				filters = append(filters, t.GetDenominatorFilter())
			}
		}
		if t := c.GetConditionAbsent(); t != nil {
			filters = append(filters, t.GetFilter())
		}
		for _, filter := range filters {
			if err := m.checkFilter(project, filter); err != nil {
				return err
			}
		}
		if q := c.GetConditionPrometheusQueryLanguage(); q != nil && !q.GetDisableMetricValidation() {
			if err := m.checkPromQL(project, q.GetQuery()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *metricNames) checkFilter(project, filter string) error {
	metric, resource := metricTypeIn.FindStringSubmatch(filter), resourceTypeIn.FindStringSubmatch(filter)
	switch {
	case metric == nil:
		return status.Errorf(codes.InvalidArgument, "The filter %q must specify a metric type: add metric.type=\"…\".", filter)
	case resource == nil:
		return status.Errorf(codes.InvalidArgument, "The filter %q must specify a restriction on \"resource.type\" in the filter.", filter)
	case !slices.Contains(resourceTypes, resource[1]):
		return status.Errorf(codes.InvalidArgument, "The supplied filter does not specify a valid combination of metric and monitored resource descriptors: there is no resource type %q here.", resource[1])
	case !m.has(project, metric[1]):
		return notFoundMetric(metric[1])
	}
	return nil
}

func notFoundMetric(name string) error {
	return status.Errorf(codes.NotFound, "Cannot find metric that matches type = %q. If a metric was created recently, it could take up to 10 minutes to become available. Please try again soon.", name)
}

func (m *metricNames) has(project, metric string) bool {
	if name, user := strings.CutPrefix(metric, userMetric); user {
		return slices.Contains(m.userMetrics(project), name)
	}
	if name, run := strings.CutPrefix(metric, "run.googleapis.com/"); run {
		return slices.Contains(runMetrics, name)
	}
	return slices.ContainsFunc(otherMetrics, func(prefix string) bool { return strings.HasPrefix(metric, prefix) })
}

func (m *metricNames) userMetrics(project string) []string {
	var names []string
	for _, full := range m.logMetrics.names() {
		if one, err := m.logMetrics.get(full); err == nil && projectName(full) == project {
			names = append(names, one.GetName())
		}
	}
	return names
}

// checkPromQL looks for log-based and Cloud Run's metrics, whose names have an
// underscore for each sign that PromQL does not take.
func (m *metricNames) checkPromQL(project, query string) error {
	for _, found := range promMetric.FindAllStringSubmatch(query, -1) {
		var names []string
		name := found[2]
		switch found[1] {
		case "logging_googleapis_com":
			user, is := strings.CutPrefix(name, "user_")
			if !is {
				continue
			}
			name, names = user, m.userMetrics(project)
		case "run_googleapis_com":
			names = runMetrics
		default:
			continue
		}
		plain := name
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			plain = strings.TrimSuffix(plain, suffix)
		}
		if !slices.ContainsFunc(names, func(n string) bool {
			inPromQL := notInPromQL.ReplaceAllString(n, "_")
			return inPromQL == name || inPromQL == plain
		}) {
			return notFoundMetric(found[0])
		}
	}
	return nil
}

// checkPromQL finds quotes and brackets that do not match.
func checkPromQL(query string) (problem string) {
	if strings.TrimSpace(query) == "" {
		return "it is empty"
	}
	closing := map[rune]rune{')': '(', ']': '[', '}': '{'}
	var open []rune
	quote, escaped := rune(0), false
	for _, r := range query {
		switch {
		case escaped:
			escaped = false
		case quote != 0 && r == '\\' && quote != '`':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case strings.ContainsRune("\"'`", r):
			quote = r
		case strings.ContainsRune("([{", r):
			open = append(open, r)
		case closing[r] != 0:
			if len(open) == 0 || open[len(open)-1] != closing[r] {
				return "unexpected " + string(r)
			}
			open = open[:len(open)-1]
		}
	}
	switch {
	case quote != 0:
		return "a quote is not closed"
	case len(open) > 0:
		return string(open[len(open)-1]) + " is not closed"
	}
	return ""
}

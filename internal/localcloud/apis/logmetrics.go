package apis

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/genproto/googleapis/api/label"
	"google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// userMetric begins the types of log-based metrics in Cloud Monitoring.
const userMetric = "logging.googleapis.com/user/"

var (
	logMetricPattern = regexp.MustCompile(`^[A-Za-z0-9_\-.,+!*',()%/]{1,100}$`)
	extractorPattern = regexp.MustCompile(`^(EXTRACT\([^)]+\)|REGEXP_EXTRACT\(.+,.+\))$`)
	labelKey         = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)
)

// logMetrics are metrics that are counted from logs.
type logMetrics struct {
	loggingpb.UnimplementedMetricsServiceV2Server
	access  *access
	clock   clock
	metrics *shelf[*loggingpb.LogMetric]
}

// name is a metric's full name, in which a slash of its own is not one.
func (l *logMetrics) name(parent, id string) string {
	return l.access.canonical(parent) + "/metrics/" + url.PathEscape(id)
}

// canonical is the full name by which a caller names a metric.
func (l *logMetrics) canonical(name string) string {
	parent, id, _ := strings.Cut(name, "/metrics/")
	if plain, err := url.PathUnescape(id); err == nil {
		id = plain
	}
	return l.name(parent, id)
}

func (l *logMetrics) GetLogMetric(_ context.Context, req *loggingpb.GetLogMetricRequest) (*loggingpb.LogMetric, error) {
	return l.metrics.get(l.canonical(req.GetMetricName()))
}

func (l *logMetrics) ListLogMetrics(_ context.Context, req *loggingpb.ListLogMetricsRequest) (*loggingpb.ListLogMetricsResponse, error) {
	all, next, err := l.metrics.below(l.access.canonical(req.GetParent())+"/metrics", req.GetPageSize(), req.GetPageToken(), 1000)
	return &loggingpb.ListLogMetricsResponse{Metrics: all, NextPageToken: next}, err
}

func (l *logMetrics) CreateLogMetric(_ context.Context, req *loggingpb.CreateLogMetricRequest) (*loggingpb.LogMetric, error) {
	made, err := l.prepare("CreateLogMetricRequest", req.GetParent(), req.GetMetric())
	if err != nil {
		return nil, err
	}
	made.CreateTime, made.UpdateTime = l.clock.stamp(), l.clock.stamp()
	return made, l.metrics.add(l.name(req.GetParent(), made.GetName()), made)
}

// UpdateLogMetric replaces a metric, or makes it.
func (l *logMetrics) UpdateLogMetric(_ context.Context, req *loggingpb.UpdateLogMetricRequest) (*loggingpb.LogMetric, error) {
	parent, _, _ := strings.Cut(req.GetMetricName(), "/metrics/")
	next, err := l.prepare("UpdateLogMetricRequest", parent, req.GetMetric())
	if err != nil {
		return nil, err
	}
	name := l.canonical(req.GetMetricName())
	if !l.metrics.has(name) {
		next.CreateTime, next.UpdateTime = l.clock.stamp(), l.clock.stamp()
		return next, l.metrics.add(name, next)
	}
	return l.metrics.change(name, func(old *loggingpb.LogMetric) (*loggingpb.LogMetric, error) {
		next.CreateTime, next.UpdateTime = old.GetCreateTime(), l.clock.stamp()
		return next, nil
	})
}

func (l *logMetrics) DeleteLogMetric(_ context.Context, req *loggingpb.DeleteLogMetricRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, l.metrics.remove(l.canonical(req.GetMetricName()), nil)
}

// prepare checks a metric and fills in its descriptor: a counter unless told.
func (l *logMetrics) prepare(request, parent string, wanted *loggingpb.LogMetric) (*loggingpb.LogMetric, error) {
	made := &loggingpb.LogMetric{}
	if wanted != nil {
		made = proto.CloneOf(wanted)
	}
	clearOutputOnly(made)
	if made.GetMetricDescriptor() == nil {
		made.MetricDescriptor = &metric.MetricDescriptor{}
	}
	d := made.GetMetricDescriptor()
	if d.GetMetricKind() == metric.MetricDescriptor_METRIC_KIND_UNSPECIFIED {
		d.MetricKind = metric.MetricDescriptor_DELTA
	}
	if d.GetValueType() == metric.MetricDescriptor_VALUE_TYPE_UNSPECIFIED {
		d.ValueType = metric.MetricDescriptor_INT64
	}
	if d.GetUnit() == "" {
		d.Unit = "1"
	}
	d.Type = userMetric + made.GetName()
	d.Name = l.access.canonical(parent) + "/metricDescriptors/" + d.GetType()
	d.Description = made.GetDescription()
	v := violations{request: request}
	checkLogMetric(&v, made)
	return made, v.err()
}

func checkLogMetric(v *violations, m *loggingpb.LogMetric) {
	if !logMetricPattern.MatchString(m.GetName()) || strings.HasPrefix(m.GetName(), "/") {
		v.add("metric.name", "%q must have 1 to 100 letters, digits and _-.,+!*',()%%/, and not begin with a slash", m.GetName())
	}
	if n := len(m.GetDescription()); n > maxLogDescription {
		v.add("metric.description", "%d bytes are too many; the most is %d", n, maxLogDescription)
	}
	if m.GetFilter() == "" {
		v.add("metric.filter", "A filter is required")
	} else if problem := checkFilter(m.GetFilter()); problem != "" {
		v.add("metric.filter", "Unparseable filter: %s", problem)
	}
	d := m.GetMetricDescriptor()
	distribution := d.GetValueType() == metric.MetricDescriptor_DISTRIBUTION
	if d.GetMetricKind() != metric.MetricDescriptor_DELTA {
		v.add("metric.metric_descriptor.metric_kind", "%s: a log-based metric is a DELTA", d.GetMetricKind())
	}
	switch {
	case !distribution && d.GetValueType() != metric.MetricDescriptor_INT64:
		v.add("metric.metric_descriptor.value_type", "%s: a log-based metric is INT64 or DISTRIBUTION", d.GetValueType())
	case distribution && m.GetValueExtractor() == "":
		v.add("metric.value_extractor", "A DISTRIBUTION takes a value_extractor")
	case !distribution && m.GetValueExtractor() != "":
		v.add("metric.value_extractor", "A value_extractor takes a DISTRIBUTION")
	}
	if !distribution && m.GetBucketOptions() != nil {
		v.add("metric.bucket_options", "Bucket options take a DISTRIBUTION")
	}
	if e := m.GetValueExtractor(); e != "" && !extractorPattern.MatchString(e) {
		v.add("metric.value_extractor", "%q is not EXTRACT(FIELD) or REGEXP_EXTRACT(FIELD, REGEX)", e)
	}
	checkExtractors(v, m.GetLabelExtractors(), d.GetLabels())
}

// checkExtractors: each label has an extractor, and each extractor a label.
func checkExtractors(v *violations, extractors map[string]string, labels []*label.LabelDescriptor) {
	declared := map[string]bool{}
	for i, l := range labels {
		field := fmt.Sprintf("metric.metric_descriptor.labels[%d].key", i)
		switch {
		case !labelKey.MatchString(l.GetKey()):
			v.add(field, "%q must begin with a letter and have only letters, digits and underscores", l.GetKey())
		case declared[l.GetKey()]:
			v.add(field, "%q is given twice", l.GetKey())
		case extractors[l.GetKey()] == "":
			v.add(field, "%q has no extractor in label_extractors", l.GetKey())
		}
		declared[l.GetKey()] = true
	}
	for _, key := range slices.Sorted(maps.Keys(extractors)) {
		field := fmt.Sprintf("metric.label_extractors[%q]", key)
		if !declared[key] {
			v.add(field, "There is no label %q in metric_descriptor", key)
		}
		if !extractorPattern.MatchString(extractors[key]) {
			v.add(field, "%q is not EXTRACT(FIELD) or REGEXP_EXTRACT(FIELD, REGEX)", extractors[key])
		}
	}
}

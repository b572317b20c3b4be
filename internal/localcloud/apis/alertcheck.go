package apis

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Bounds of alert policies, after the field documentation of the protos and
// https://cloud.google.com/monitoring/quotas.
const (
	maxDisplayNameRunes = 512
	maxConditions       = 6
	maxDocumentation    = 10_240
	maxSubject          = 255
	shortestAutoClose   = 30 * time.Minute
	longestAutoClose    = 7 * 24 * time.Hour
	evaluationStep      = 30 * time.Second
)

var userLabelKey = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// check gives everything that is wrong with a policy: first what it says, then
// the metrics that it says it of.
func (a *alertPolicies) check(project string, p *monitoringpb.AlertPolicy) error {
	v := violations{request: "AlertPolicyRequest"}
	if n := len([]rune(p.GetDisplayName())); n == 0 || n > maxDisplayNameRunes {
		v.add("alert_policy.display_name", "%d characters; there must be 1 to %d", n, maxDisplayNameRunes)
	}
	if p.GetCombiner() == monitoringpb.AlertPolicy_COMBINE_UNSPECIFIED || !known(monitoringpb.AlertPolicy_ConditionCombinerType_name, int32(p.GetCombiner())) {
		v.add("alert_policy.combiner", "One of AND, OR and AND_WITH_MATCHING_RESOURCE is required")
	}
	if !known(monitoringpb.AlertPolicy_Severity_name, int32(p.GetSeverity())) {
		v.add("alert_policy.severity", "%d is not a severity", p.GetSeverity())
	}
	if n := len(p.GetConditions()); n == 0 || n > maxConditions {
		v.add("alert_policy.conditions", "%d conditions; there must be 1 to %d", n, maxConditions)
	}
	for i, c := range p.GetConditions() {
		checkCondition(&v, fmt.Sprintf("alert_policy.conditions[%d]", i), c)
	}
	checkUserLabels(&v, "alert_policy.user_labels", p.GetUserLabels())
	checkDocumentation(&v, p.GetDocumentation())
	checkStrategy(&v, p)
	for i, channel := range p.GetNotificationChannels() {
		if !a.channels.shelf.has(channel) {
			v.add(fmt.Sprintf("alert_policy.notification_channels[%d]", i), "There is no notification channel %q", channel)
		}
	}
	if err := v.err(); err != nil {
		return err
	}
	return a.metrics.check(project, p)
}

func checkUserLabels(v *violations, field string, labels map[string]string) {
	if len(labels) > maxLabels {
		v.add(field, "%d labels are too many; the most is %d", len(labels), maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !userLabelKey.MatchString(key) || !labelValuePattern.MatchString(labels[key]) {
			v.add(field, "%q=%q must have lower-case letters, digits, underscores and hyphens, at most 63 on each side, and begin with a letter", key, labels[key])
		}
	}
}

func checkDocumentation(v *violations, d *monitoringpb.AlertPolicy_Documentation) {
	if d == nil {
		return
	}
	if n := len(d.GetContent()); n > maxDocumentation {
		v.add("alert_policy.documentation.content", "%d bytes are too many; the most is %d", n, maxDocumentation)
	}
	if m := d.GetMimeType(); d.GetContent() != "" && m != "text/markdown" {
		v.add("alert_policy.documentation.mime_type", "%q must be text/markdown", m)
	}
	if n := len([]rune(d.GetSubject())); n > maxSubject {
		v.add("alert_policy.documentation.subject", "%d characters are too many; the most is %d", n, maxSubject)
	}
}

// checkStrategy: matches in logs come one by one, so their notifications need a
// limit; those of other conditions have none.
func checkStrategy(v *violations, p *monitoringpb.AlertPolicy) {
	s := p.GetAlertStrategy()
	if d := s.GetAutoClose(); d != nil && (d.AsDuration() < shortestAutoClose || d.AsDuration() > longestAutoClose) {
		v.add("alert_policy.alert_strategy.auto_close", "%gs is not 1800s to 604800s", d.AsDuration().Seconds())
	}
	logs := slices.ContainsFunc(p.GetConditions(), func(c *monitoringpb.AlertPolicy_Condition) bool { return c.GetConditionMatchedLog() != nil })
	limited := s.GetNotificationRateLimit() != nil
	switch {
	case logs && len(p.GetConditions()) > 1:
		v.add("alert_policy.conditions", "A condition on logs must be the only one")
	case logs && !limited:
		v.add("alert_policy.alert_strategy.notification_rate_limit", "A condition on logs takes a rate limit")
	case !logs && limited:
		v.add("alert_policy.alert_strategy.notification_rate_limit", "Only a condition on logs takes a rate limit")
	}
}

func checkCondition(v *violations, field string, c *monitoringpb.AlertPolicy_Condition) {
	if c.GetDisplayName() == "" {
		v.add(field+".display_name", "A name is required")
	}
	switch kind := c.GetCondition().(type) {
	case *monitoringpb.AlertPolicy_Condition_ConditionThreshold:
		t := kind.ConditionThreshold
		at := field + ".condition_threshold"
		checkTimeSeries(v, at, t.GetFilter(), t.GetAggregations())
		if t.GetDenominatorFilter() != "" {
			if problem := checkFilter(t.GetDenominatorFilter()); problem != "" {
				v.add(at+".denominator_filter", "Unparseable filter: %s", problem)
			}
		}
		if t.GetComparison() != monitoringpb.ComparisonType_COMPARISON_GT && t.GetComparison() != monitoringpb.ComparisonType_COMPARISON_LT {
			v.add(at+".comparison", "%s: only COMPARISON_GT and COMPARISON_LT are supported", t.GetComparison())
		}
		checkSpan(v, at+".duration", t.GetDuration(), time.Minute, 0)
	case *monitoringpb.AlertPolicy_Condition_ConditionAbsent:
		t := kind.ConditionAbsent
		checkTimeSeries(v, field+".condition_absent", t.GetFilter(), t.GetAggregations())
		checkSpan(v, field+".condition_absent.duration", t.GetDuration(), time.Minute, 2*time.Minute)
	case *monitoringpb.AlertPolicy_Condition_ConditionMatchedLog:
		at := field + ".condition_matched_log"
		if problem := checkFilter(kind.ConditionMatchedLog.GetFilter()); problem != "" || kind.ConditionMatchedLog.GetFilter() == "" {
			v.add(at+".filter", "A filter is required that can be read: %s", problem)
		}
		for key, extractor := range kind.ConditionMatchedLog.GetLabelExtractors() {
			if !extractorPattern.MatchString(extractor) {
				v.add(at+".label_extractors", "%s=%q is not EXTRACT(FIELD) or REGEXP_EXTRACT(FIELD, REGEX)", key, extractor)
			}
		}
	case *monitoringpb.AlertPolicy_Condition_ConditionPrometheusQueryLanguage:
		q := kind.ConditionPrometheusQueryLanguage
		at := field + ".condition_prometheus_query_language"
		if problem := checkPromQL(q.GetQuery()); problem != "" {
			v.add(at+".query", "Unparseable query: %s", problem)
		}
		checkSpan(v, at+".duration", q.GetDuration(), time.Second, 0)
		checkSpan(v, at+".evaluation_interval", q.GetEvaluationInterval(), evaluationStep, 0)
	case nil:
		v.add(field, "A condition is required")
	default:
		v.add(field, "The local cloud has conditions on thresholds, absence, logs and PromQL, not %T", kind)
	}
}

// checkSpan wants whole steps, and at least so many.
func checkSpan(v *violations, field string, d *durationpb.Duration, step, least time.Duration) {
	if span := d.AsDuration(); span < least || span%step != 0 {
		v.add(field, "%gs must be a multiple of %gs, and at least %gs", span.Seconds(), step.Seconds(), least.Seconds())
	}
}

func checkTimeSeries(v *violations, field, filter string, aggregations []*monitoringpb.Aggregation) {
	problem := checkFilter(filter)
	switch {
	case filter == "":
		v.add(field+".filter", "A filter is required")
	case problem != "":
		v.add(field+".filter", "Unparseable filter: %s", problem)
	}
	for i, a := range aggregations {
		at := fmt.Sprintf("%s.aggregations[%d]", field, i)
		aligned := a.GetPerSeriesAligner() != monitoringpb.Aggregation_ALIGN_NONE
		if aligned && a.GetAlignmentPeriod().AsDuration() < time.Minute {
			v.add(at+".alignment_period", "%gs is less than 60s", a.GetAlignmentPeriod().AsDuration().Seconds())
		}
		if !aligned && a.GetCrossSeriesReducer() != monitoringpb.Aggregation_REDUCE_NONE {
			v.add(at+".per_series_aligner", "A cross_series_reducer takes an aligner")
		}
	}
}

package provider

import "github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/monitoring"

func alertPolicyType() *resourceType {
	return &resourceType{
		token:   "gcp:monitoring/alertPolicy:AlertPolicy",
		inputs:  inputSchema(monitoring.AlertPolicyArgs{}),
		outputs: outputSchema(monitoring.AlertPolicy{}),
		traits:  alertPolicyTraits(),
		api: &restAPI{
			endpoint:    monitoringEndpoint,
			idOf:        "{+name}",
			path:        "v3/{+name}",
			assigned:    "name",
			collection:  "v3/projects/{project}/alertPolicies",
			maskInQuery: true,
		},
	}
}

// alertPolicyTraits follows the plugin's schema of
// google_monitoring_alert_policy.
func alertPolicyTraits() traits {
	all := traits{
		"name":                   {place: inPath},
		"project":                {place: inPath, replace: true, config: project},
		"combiner":               {oneOf: []string{"AND", "OR", "AND_WITH_MATCHING_RESOURCE"}},
		"enabled":                {fallback: true},
		"severity":               {oneOf: []string{"CRITICAL", "ERROR", "WARNING"}},
		"creationRecords":        {outputOnly: true, form: oneOfList, apiName: "creationRecord"},
		"documentation.mimeType": {fallback: "text/markdown"},

		"alertStrategy.autoClose":                                        {same: sameDuration},
		"alertStrategy.notificationChannelStrategies":                    {apiName: "notificationChannelStrategy"},
		"alertStrategy.notificationChannelStrategies[].renotifyInterval": {same: sameDuration},
		"alertStrategy.notificationRateLimit.period":                     {same: sameDuration},

		"conditions":        {required: true},
		"conditions[].name": {computed: true, outputOnly: true},
		"conditions[].conditionPrometheusQueryLanguage.duration":           {same: sameDuration},
		"conditions[].conditionPrometheusQueryLanguage.evaluationInterval": {same: sameDuration},
		"conditions[].conditionThreshold.comparison": {oneOf: []string{
			"COMPARISON_GT", "COMPARISON_GE", "COMPARISON_LT", "COMPARISON_LE", "COMPARISON_EQ", "COMPARISON_NE"}},
		"conditions[].conditionThreshold.evaluationMissingData": {oneOf: []string{
			"EVALUATION_MISSING_DATA_INACTIVE", "EVALUATION_MISSING_DATA_ACTIVE", "EVALUATION_MISSING_DATA_NO_OP"}},
		"conditions[].conditionThreshold.duration": {same: sameDuration},
		"conditions[].conditionAbsent.duration":    {same: sameDuration},
	}
	for _, list := range []string{"conditionThreshold.aggregations", "conditionThreshold.denominatorAggregations", "conditionAbsent.aggregations"} {
		at := "conditions[]." + list + "[]."
		all[at+"alignmentPeriod"] = trait{same: sameDuration}
		all[at+"crossSeriesReducer"] = trait{silence: "REDUCE_NONE", oneOf: []string{
			"REDUCE_NONE", "REDUCE_MEAN", "REDUCE_MIN", "REDUCE_MAX", "REDUCE_SUM", "REDUCE_STDDEV", "REDUCE_COUNT",
			"REDUCE_COUNT_TRUE", "REDUCE_COUNT_FALSE", "REDUCE_FRACTION_TRUE", "REDUCE_PERCENTILE_99",
			"REDUCE_PERCENTILE_95", "REDUCE_PERCENTILE_50", "REDUCE_PERCENTILE_05"}}
		all[at+"perSeriesAligner"] = trait{oneOf: []string{
			"ALIGN_NONE", "ALIGN_DELTA", "ALIGN_RATE", "ALIGN_INTERPOLATE", "ALIGN_NEXT_OLDER", "ALIGN_MIN",
			"ALIGN_MAX", "ALIGN_MEAN", "ALIGN_COUNT", "ALIGN_SUM", "ALIGN_STDDEV", "ALIGN_COUNT_TRUE",
			"ALIGN_COUNT_FALSE", "ALIGN_FRACTION_TRUE", "ALIGN_PERCENTILE_99", "ALIGN_PERCENTILE_95",
			"ALIGN_PERCENTILE_50", "ALIGN_PERCENTILE_05", "ALIGN_PERCENT_CHANGE"}}
	}
	return all
}

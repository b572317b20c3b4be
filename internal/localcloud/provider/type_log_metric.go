package provider

import "github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/logging"

func logMetricType() *resourceType {
	return &resourceType{
		token:    "gcp:logging/metric:Metric",
		inputs:   inputSchema(logging.MetricArgs{}),
		outputs:  outputSchema(logging.Metric{}),
		autoName: "name", autoNameMax: 100, fixedName: "name",
		traits: traits{
			"project":                             {place: inPath, replace: true, config: project},
			"name":                                {replace: true},
			"metricDescriptor":                    {computed: true},
			"metricDescriptor.labels":             {set: true, key: "key"},
			"metricDescriptor.labels[].valueType": {fallback: "STRING", leftOut: true, oneOf: []string{"BOOL", "INT64", "STRING"}},
			"metricDescriptor.metricKind":         {oneOf: []string{"DELTA", "GAUGE", "CUMULATIVE"}},
			"metricDescriptor.unit":               {fallback: "1", leftOut: true},
			"metricDescriptor.valueType": {oneOf: []string{
				"BOOL", "INT64", "DOUBLE", "STRING", "DISTRIBUTION", "MONEY"}},
		},
		api: &restAPI{
			endpoint:   loggingEndpoint,
			idOf:       "{+name}",
			shortIDs:   []string{"{project} {+name}"},
			path:       "projects/{project}/metrics/{name}",
			collection: "projects/{project}/metrics",
			whole:      true,
		},
	}
}

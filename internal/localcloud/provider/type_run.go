package provider

import (
	"errors"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const runServiceID = "projects/{project}/locations/{location}/services/{name}"

func runServiceType() *resourceType {
	return &resourceType{
		token:     "gcp:cloudrunv2/service:Service",
		inputs:    inputSchema(cloudrunv2.ServiceArgs{}),
		outputs:   outputSchema(cloudrunv2.Service{}),
		traits:    runServiceTraits,
		labelled:  true,
		annotated: true,
		autoName:  "name", autoNameMax: 50, fixedName: "name",
		undeletable: func(state resource.PropertyMap) error {
			if !isTrue(state, "deletionProtection") {
				return nil
			}
			return errors.New("cannot destroy service without setting deletionProtection=false and running `pulumi up`")
		},
		api: &restAPI{
			endpoint:   runEndpoint,
			idOf:       runServiceID,
			shortIDs:   []string{"{project}/{location}/{name}"},
			collection: "projects/{project}/locations/{location}/services?serviceId={name}",
			longCreate: true, longUpdate: true, longDelete: true,
		},
	}
}

// runServiceTraits follows the plugin's schema of google_cloud_run_v2_service:
// what is "computed" there, what has a default, what is an enum. Renames are
// where the SDK's plural meets the API's singular.
var runServiceTraits = traits{
	"project":  {place: inPath, replace: true, config: project},
	"location": {place: inPath, replace: true},
	"name":     {place: inPath, replace: true, same: sameName},

	"deletionProtection": {place: inState, fallback: true},
	"ingress": {computed: true, oneOf: []string{
		"INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"}},
	"launchStage": {computed: true, oneOf: []string{
		"UNIMPLEMENTED", "PRELAUNCH", "EARLY_ACCESS", "ALPHA", "BETA", "GA", "DEPRECATED"}},
	"scaling":             {computed: true},
	"scaling.scalingMode": {oneOf: []string{"AUTOMATIC", "MANUAL"}},
	"traffics":            {computed: true, apiName: "traffic"},
	"traffics[].percent":  {computed: true},
	"traffics[].type": {oneOf: []string{
		"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"}},
	"terminalConditions": {outputOnly: true, form: oneOfList, apiName: "terminalCondition"},

	"template.executionEnvironment": {oneOf: []string{
		"EXECUTION_ENVIRONMENT_GEN1", "EXECUTION_ENVIRONMENT_GEN2"}},
	"template.maxInstanceRequestConcurrency":            {computed: true},
	"template.scaling":                                  {computed: true},
	"template.serviceAccount":                           {computed: true},
	"template.timeout":                                  {computed: true, same: sameDuration},
	"template.vpcAccess.egress":                         {computed: true, oneOf: []string{"ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"}},
	"template.vpcAccess.networkInterfaces[].network":    {computed: true},
	"template.vpcAccess.networkInterfaces[].subnetwork": {computed: true},
	"template.volumes[].cloudSqlInstance.instances":     {set: true},
	"template.volumes[].emptyDir":                       {keepEmpty: true},
	"template.volumes[].emptyDir.medium":                {oneOf: []string{"MEMORY"}},

	"template.containers[].buildInfos":         {computed: true, outputOnly: true, form: oneOfList, apiName: "buildInfo"},
	"template.containers[].commands":           {apiName: "command"},
	"template.containers[].dependsOns":         {apiName: "dependsOn"},
	"template.containers[].envs":               {apiName: "env", set: true, key: "name"},
	"template.containers[].ports":              {computed: true, form: listOfOne},
	"template.containers[].ports.name":         {computed: true},
	"template.containers[].resources":          {computed: true},
	"template.containers[].resources.limits":   {computed: true},
	"template.containers[].resources.limits{}": {same: sameQuantity},
	"template.containers[].startupProbe":       {computed: true},

	"template.containers[].startupProbe.failureThreshold":     {fallback: 3.0},
	"template.containers[].startupProbe.periodSeconds":        {fallback: 10.0},
	"template.containers[].startupProbe.timeoutSeconds":       {fallback: 1.0},
	"template.containers[].startupProbe.initialDelaySeconds":  {fallback: 0.0},
	"template.containers[].startupProbe.grpc":                 {keepEmpty: true},
	"template.containers[].startupProbe.grpc.port":            {computed: true},
	"template.containers[].startupProbe.httpGet":              {keepEmpty: true},
	"template.containers[].startupProbe.httpGet.path":         {fallback: "/"},
	"template.containers[].startupProbe.httpGet.port":         {computed: true},
	"template.containers[].startupProbe.tcpSocket":            {keepEmpty: true},
	"template.containers[].startupProbe.tcpSocket.port":       {computed: true},
	"template.containers[].livenessProbe.failureThreshold":    {fallback: 3.0},
	"template.containers[].livenessProbe.periodSeconds":       {fallback: 10.0},
	"template.containers[].livenessProbe.timeoutSeconds":      {fallback: 1.0},
	"template.containers[].livenessProbe.initialDelaySeconds": {fallback: 0.0},
	"template.containers[].livenessProbe.grpc":                {keepEmpty: true},
	"template.containers[].livenessProbe.grpc.port":           {computed: true},
	"template.containers[].livenessProbe.httpGet":             {keepEmpty: true},
	"template.containers[].livenessProbe.httpGet.path":        {fallback: "/"},
	"template.containers[].livenessProbe.httpGet.port":        {computed: true},
	"template.containers[].livenessProbe.tcpSocket":           {keepEmpty: true},
	"template.containers[].livenessProbe.tcpSocket.port":      {computed: true},
}

package apis_test

import (
	"net/http"
	"strings"
	"testing"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func TestAServiceThatCannotBeIsRefusedWithEveryProblem(t *testing.T) {
	c, image := newReadyCloud(t)
	withContainer := func(fields string) string {
		return `{"template":{"containers":[{"image":"` + image + `",` + fields + `}]}}`
	}
	withTemplate := func(fields string) string {
		return `{"template":{` + fields + `,"containers":[{"image":"` + image + `"}]}}`
	}
	for _, tt := range []struct {
		title string
		id    string // portal where empty
		body  string
		want  []string // the fields complained of
	}{
		{"an id that is too long", strings.Repeat("a", 50), portal(image), []string{"service_id"}},
		{"an id with capitals", "Portal", portal(image), []string{"service_id"}},
		{"an id that ends with a hyphen", "portal-", portal(image), []string{"service_id"}},
		{"no template", "", `{}`, []string{"service.template"}},
		{"no containers", "", `{"template":{}}`, []string{"service.template.containers"}},
		{"no image", "", `{"template":{"containers":[{}]}}`, []string{"service.template.containers[0].image"}},
		{"an image that is none", "", portal("HOST/Not An Image"), []string{"service.template.containers[0].image"}},
		{"an image without a host", "", portal("server"), []string{"service.template.containers[0].image"}},
		{"minimum above maximum", "", withTemplate(`"scaling":{"minInstanceCount":3,"maxInstanceCount":2}`), []string{"service.template.scaling.min_instance_count"}},
		{"a timeout above an hour", "", withTemplate(`"timeout":"3601s"`), []string{"service.template.timeout"}},
		{"a negative timeout", "", withTemplate(`"timeout":"-1s"`), []string{"service.template.timeout"}},
		{"concurrency above 1000", "", withTemplate(`"maxInstanceRequestConcurrency":1001`), []string{"service.template.max_instance_request_concurrency"}},
		{"a revision named for another service", "", withTemplate(`"revision":"other-1"`), []string{"service.template.revision"}},
		{"cpu that is no quantity", "", withContainer(`"resources":{"limits":{"cpu":"lots"}}`), []string{"service.template.containers[0].resources.limits.cpu"}},
		{"three cpus", "", withContainer(`"resources":{"limits":{"cpu":"3"}}`), []string{"service.template.containers[0].resources.limits.cpu"}},
		{"too little memory for four cpus", "", withContainer(`"resources":{"limits":{"cpu":"4","memory":"1Gi"}}`), []string{"service.template.containers[0].resources.limits.memory"}},
		{"too much memory for one cpu", "", withContainer(`"resources":{"limits":{"cpu":"1","memory":"5Gi"}}`), []string{"service.template.containers[0].resources.limits.cpu"}},
		{"a fraction of a cpu for many requests, always on", "",
			`{"template":{"maxInstanceRequestConcurrency":80,"containers":[{"image":"` + image + `","resources":{"limits":{"cpu":"500m","memory":"256Mi"}}}]}}`,
			[]string{"service.template.containers[0].resources.cpu_idle", "service.template.max_instance_request_concurrency"}},
		{"two ports", "", withContainer(`"ports":[{"containerPort":1},{"containerPort":2}]`), []string{"service.template.containers[0].ports"}},
		{"a port out of range", "", withContainer(`"ports":[{"containerPort":70000}]`), []string{"service.template.containers[0].ports[0].container_port"}},
		{"two containers and no port", "", `{"template":{"containers":[{"image":"` + image + `"},{"image":"` + image + `"}]}}`, []string{"service.template.containers"}},
		{"reserved variables", "", withContainer(`"env":[{"name":"PORT","value":"1"},{"name":"K_SERVICE","value":"x"}]`), []string{"service.template.containers[0].env"}},
		{"a variable twice and one without a name", "", withContainer(`"env":[{"name":"A"},{"name":"A"},{"name":""}]`),
			[]string{"service.template.containers[0].env[1].name", "service.template.containers[0].env[2].name"}},
		{"a secret that cannot be one", "", withContainer(`"env":[{"name":"A","valueSource":{"secretKeyRef":{"secret":"a.b","version":"stable"}}}]`),
			[]string{"service.template.containers[0].env[0].value_source.secret_key_ref.secret", "service.template.containers[0].env[0].value_source.secret_key_ref.version"}},
		{"volumes that cannot be", "", `{"template":{"volumes":[{"name":"A"},{"name":"b","secret":{"secret":"","defaultMode":512,"items":[{"path":"../x","version":"0","mode":-1},{"path":"y","version":"1"},{"path":"./y","version":"latest"}]}}],"containers":[{"image":"` + image + `","volumeMounts":[{"name":"c","mountPath":"/x"},{"name":"b","mountPath":"y"},{"name":"b","mountPath":"/x/","subPath":"z"}]}]}}`,
			[]string{
				"service.template.volumes[0].name", "service.template.volumes[0]", "service.template.volumes[1].secret.secret", "service.template.volumes[1].secret.default_mode",
				"service.template.volumes[1].secret.items[0].path", "service.template.volumes[1].secret.items[0].version", "service.template.volumes[1].secret.items[0].mode",
				"service.template.volumes[1].secret.items[2].path",
				"service.template.containers[0].volume_mounts[0].name", "service.template.containers[0].volume_mounts[1].mount_path",
				"service.template.containers[0].volume_mounts[2].mount_path", "service.template.containers[0].volume_mounts[2].sub_path"}},
		{"sidecars that wait for each other", "",
			`{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}],"dependsOn":["b","none"]},{"name":"b","image":"` + image + `","dependsOn":["a"],"startupProbe":{"tcpSocket":{"port":9}}}]}}`,
			[]string{"service.template.containers[0].depends_on", "service.template.containers[0].depends_on", "service.template.containers[1].depends_on"}},
		{"a sidecar that says neither when it is ready nor where", "",
			`{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}],"dependsOn":["b"]},{"name":"b","image":"` + image + `","livenessProbe":{"httpGet":{}}}]}}`,
			[]string{"service.template.containers[0].depends_on", "service.template.containers[1].liveness_probe"}},
		{"a probe that waits longer than its period", "", withContainer(`"livenessProbe":{"timeoutSeconds":20,"periodSeconds":10,"httpGet":{}}`),
			[]string{"service.template.containers[0].liveness_probe.timeout_seconds"}},
		{"a probe of nothing", "", withContainer(`"startupProbe":{"timeoutSeconds":1}`), []string{"service.template.containers[0].startup_probe"}},
		{"a label with capitals and an annotation of the system's", "", `{"labels":{"Client":"x"},"annotations":{"run.googleapis.com/x":"y"},"template":{"containers":[{"image":"` + image + `"}]}}`,
			[]string{"service.annotations", "service.labels"}},
		{"traffic that does not add up", "", `{"traffic":[{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":50}],"template":{"containers":[{"image":"` + image + `"}]}}`, []string{"service.traffic"}},
		{"a count of instances without manual scaling", "", `{"scaling":{"manualInstanceCount":1},"template":{"containers":[{"image":"` + image + `"}]}}`, []string{"service.scaling.manual_instance_count"}},
		{"an audience that is empty and one that is given twice", "", `{"customAudiences":["","a","a"],"template":{"containers":[{"image":"` + image + `"}]}}`,
			[]string{"service.custom_audiences[0]", "service.custom_audiences[2]"}},
		{"a key of another region", "", withTemplate(`"encryptionKey":"projects/acme-dev/locations/us-east1/keyRings/r/cryptoKeys/k"`), []string{"service.template.encryption_key"}},
		{"a key that is none", "", withTemplate(`"encryptionKey":"k"`), []string{"service.template.encryption_key"}},
		{"a network interface on nothing", "", withTemplate(`"vpcAccess":{"networkInterfaces":[{"tags":["web"]}]}`), []string{"service.template.vpc_access.network_interfaces[0]"}},
		{"network interfaces that cannot be", "", withTemplate(`"vpcAccess":{"egress":7,"networkInterfaces":[{"network":"Not a network","subnetwork":"/","tags":["1"]},{"network":"b"}]}`),
			[]string{"service.template.vpc_access.egress", "service.template.vpc_access.network_interfaces", "service.template.vpc_access.network_interfaces[0].network",
				"service.template.vpc_access.network_interfaces[0].subnetwork", "service.template.vpc_access.network_interfaces[0].tags[0]"}},
		{"egress to nowhere", "", withTemplate(`"vpcAccess":{"egress":"ALL_TRAFFIC"}`), []string{"service.template.vpc_access"}},
		{"a connector beside a network interface", "", withTemplate(`"vpcAccess":{"connector":"c","networkInterfaces":[{"network":"n"}]}`),
			[]string{"service.template.vpc_access", "service.template.vpc_access.connector"}},
		{"a reason to break the glass and no glass", "", `{"binaryAuthorization":{"breakglassJustification":"night"},"template":{"containers":[{"image":"` + image + `"}]}}`,
			[]string{"service.binary_authorization.breakglass_justification"}},
		{"a boost of one container of two", "",
			`{"template":{"containers":[{"image":"` + image + `","ports":[{}],"resources":{"startupCpuBoost":true}},{"image":"` + image + `"}]}}`,
			[]string{"service.template.containers"}},
		{"a processor that is always there with little memory", "", withContainer(`"resources":{"limits":{"memory":"256Mi"}}`), []string{"service.template.containers[0].resources.limits.memory"}},
		{"a scaling mode that is none", "", `{"scaling":{"scalingMode":7},"template":{"containers":[{"image":"` + image + `"}]}}`, []string{"service.scaling.scaling_mode"}},
		{"many problems at once", "X", `{"template":{"timeout":"9999s","maxInstanceRequestConcurrency":-1,"containers":[{"image":""}]}}`,
			[]string{"service.template.containers[0].image", "service.template.max_instance_request_concurrency", "service.template.timeout", "service_id"}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			id := tt.id
			if id == "" {
				id = "portal"
			}
			a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId="+id, tt.body)
			require.Equal(t, http.StatusBadRequest, a.code, a.text)
			problem, message := a.problem()
			assert.Equal(t, "INVALID_ARGUMENT", problem["status"])
			var fields []string
			for _, v := range problem["details"].([]any)[0].(map[string]any)["fieldViolations"].([]any) {
				field := strings.TrimPrefix(v.(map[string]any)["field"].(string), "CreateServiceRequest.")
				fields = append(fields, field)
				assert.Contains(t, message, "Violation in CreateServiceRequest."+field+": ")
			}
			assert.ElementsMatch(t, tt.want, fields, message)
			assert.Empty(t, c.platform.deployments())
		})
	}
}

func TestAServiceMayBeAsLargeAsCloudRunAllows(t *testing.T) {
	c, image := newReadyCloud(t)
	for title, body := range map[string]string{
		"a fraction of a cpu for one request": `{"template":{"containers":[{"image":"` + image + `","resources":{"limits":{"cpu":"0.5","memory":"256Mi"},"cpuIdle":true}}]}}`,
		"eight cpus":                          `{"template":{"containers":[{"image":"` + image + `","resources":{"limits":{"cpu":"8","memory":"32Gi"}}}]}}`,
		"a sidecar":                           `{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}]},{"name":"b","image":"` + image + `"}]}}`,
		"a sidecar to wait for":               `{"template":{"containers":[{"name":"a","image":"` + image + `","ports":[{}],"dependsOn":["b"]},{"name":"b","image":"` + image + `","startupProbe":{"tcpSocket":{"port":9000}}}]}}`,
		"secrets and a scratch directory":     `{"template":{"volumes":[{"name":"s","secret":{"secret":"k","items":[{"path":"a/b","version":"1","mode":256}]}},{"name":"e","emptyDir":{}}],"containers":[{"image":"` + image + `","env":[{"name":"K","valueSource":{"secretKeyRef":{"secret":"k","version":"latest"}}}],"volumeMounts":[{"name":"s","mountPath":"/s"},{"name":"e","mountPath":"/tmp/e"}]}]}}`,
		"a revision of one's own name":        `{"template":{"revision":"portal-green","containers":[{"image":"` + image + `"}]}}`,
		"no instances":                        `{"scaling":{"scalingMode":"MANUAL","manualInstanceCount":0},"template":{"containers":[{"image":"` + image + `"}]}}`,
	} {
		t.Run(title, func(t *testing.T) {
			c.deploy(t, body)
			c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
		})
	}
}

func TestWhatTheLocalCloudDoesNotHaveIsSaid(t *testing.T) {
	c, image := newReadyCloud(t)
	a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal",
		`{"iapEnabled":true,"template":{"vpcAccess":{"connector":"projects/p/locations/l/connectors/c"},"containers":[{"image":"`+image+`"}]}}`)
	problem, message := a.problem()
	assert.Equal(t, http.StatusNotImplemented, a.code)
	assert.Equal(t, "UNIMPLEMENTED", problem["status"])
	assert.Equal(t, "the local cloud does not have service.iap_enabled, service.template.vpc_access.connector; leave it unset here", message)
}

func TestAServiceRunsAsAnAccountThatExists(t *testing.T) {
	c, image := newReadyCloud(t)
	body := `{"template":{"serviceAccount":"portal@acme-dev.iam.gserviceaccount.com","containers":[{"image":"` + image + `"}]}}`
	a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", body)
	_, message := a.problem()
	assert.Equal(t, http.StatusForbidden, a.code)
	assert.Equal(t, "Permission 'iam.serviceaccounts.actAs' denied on service account portal@acme-dev.iam.gserviceaccount.com (or it may not exist).", message)
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`)
	got := c.deploy(t, body)
	assert.Equal(t, "portal@acme-dev.iam.gserviceaccount.com", got["template"].(map[string]any)["serviceAccount"])
}

func TestAMaskNamesFieldsThatExist(t *testing.T) {
	ctx := t.Context()
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	client, err := run.NewServicesClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.UpdateService(ctx, &runpb.UpdateServiceRequest{
		Service:    &runpb.Service{Name: parent + "/services/portal"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"template.nothing"}},
	})
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.ErrorContains(t, err, `has no field "nothing"`)
}

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// setting is a key of the provider's configuration, without its "gcp:".
type setting string

const (
	project                   setting = "project"
	region                    setting = "region"
	accessToken               setting = "accessToken"
	billingProject            setting = "billingProject"
	userProjectOverride       setting = "userProjectOverride"
	defaultLabels             setting = "defaultLabels"
	addPulumiAttributionLabel setting = "addPulumiAttributionLabel"
	runEndpoint               setting = "cloudRunV2CustomEndpoint"
	iamEndpoint               setting = "iamCustomEndpoint"
	resourceManagerEndpoint   setting = "resourceManagerCustomEndpoint"
	serviceUsageEndpoint      setting = "serviceUsageCustomEndpoint"
	artifactRegistryEndpoint  setting = "artifactRegistryCustomEndpoint"
	secretManagerEndpoint     setting = "secretManagerCustomEndpoint"
	storageEndpoint           setting = "storageCustomEndpoint"
	cloudIdentityEndpoint     setting = "cloudIdentityCustomEndpoint"
	kmsEndpoint               setting = "kmsCustomEndpoint"
	loggingEndpoint           setting = "loggingCustomEndpoint"
	monitoringEndpoint        setting = "monitoringCustomEndpoint"
	budgetEndpoint            setting = "billingCustomEndpoint"
	endpointSuffix                    = "CustomEndpoint"
)

// endpoints are the APIs that this provider calls, each with the path that its
// value ends in. The plugin appends the version itself to those that end in "/".
var endpoints = map[setting]string{
	runEndpoint:              "/v2/",
	artifactRegistryEndpoint: "/v1/",
	secretManagerEndpoint:    "/v1/",
	storageEndpoint:          "/storage/v1/",
	iamEndpoint:              "/",
	resourceManagerEndpoint:  "/",
	serviceUsageEndpoint:     "/",
	cloudIdentityEndpoint:    "/v1/",
	kmsEndpoint:              "/v1/",
	loggingEndpoint:          "/v2/",
	monitoringEndpoint:       "/",
	budgetEndpoint:           "/v1/",
}

// refused are the ways to name a real identity.
var refused = []setting{"credentials", "externalCredentials", "impersonateServiceAccount", "impersonateServiceAccountDelegates"}

// settings is a provider configuration that has been checked.
type settings struct {
	values map[setting]string
	labels map[string]string
}

// attributionLabel is what the plugin puts on whatever takes labels.
const attributionLabel = "goog-pulumi-provisioned"

func (s settings) get(k setting) string { return s.values[k] }
func (s settings) isTrue(k setting) bool {
	return s.values[k] == "true"
}

// readSettings checks a configuration and reports all that is wrong with it, by
// key. Values come as strings, also of booleans, and as JSON of anything else.
func readSettings(config resource.PropertyMap) (settings, []*pulumirpc.CheckFailure) {
	known := inputSchema(gcp.ProviderArgs{})
	s := settings{values: map[setting]string{}, labels: map[string]string{}}
	var failures []*pulumirpc.CheckFailure
	fail := func(key setting, format string, args ...any) {
		failures = append(failures, &pulumirpc.CheckFailure{Property: string(key), Reason: fmt.Sprintf(format, args...)})
	}

	for _, key := range config.StableKeys() {
		value := config[key]
		k := setting(key)
		switch prop, ok := known.props[string(key)]; {
		case isOtherKey(string(key)) || value.IsNull():
		case !ok:
			fail(k, "pulumi-gcp %s has no setting %q; correct or remove gcp:%s", pluginVersion, k, k)
		case value.IsComputed() || value.IsOutput():
			// Known in the update; Configure insists on it.
			if strings.HasSuffix(string(k), endpointSuffix) {
				fail(k, "gcp:%s must be known before the preview: give the local cloud's address itself", k)
			}
		case prop.kind == objectKind || prop.kind == mapKind || prop.kind == listKind:
			decoded, err := jsonValue(value)
			if err != nil {
				fail(k, "gcp:%s must be a %s as JSON: %v", k, prop.kind, err)
			} else if k == defaultLabels {
				s.setLabels(decoded, fail)
			}
			s.values[k] = "set"
		default:
			s.values[k] = scalarText(value)
		}
	}

	for _, k := range refused {
		if s.get(k) != "" {
			fail(k, "the local cloud takes no real identity: remove gcp:%s and set gcp:accessToken to a token of the local cloud", k)
		}
	}
	for k, v := range s.values {
		if strings.HasSuffix(string(k), endpointSuffix) {
			if err := checkEndpoint(v, endpoints[k]); err != nil {
				fail(k, "gcp:%s %v", k, err)
			}
		}
	}
	for k, path := range endpoints {
		if _, there := config[resource.PropertyKey(k)]; !there {
			fail(k, "gcp:%s is missing: without it a real API would be called; set it to http://127.0.0.1:PORT%s", k, path)
		}
	}
	if _, there := config[resource.PropertyKey(accessToken)]; !there {
		fail(accessToken, "gcp:accessToken is missing: set it to a token of the local cloud")
	}
	if k := addPulumiAttributionLabel; s.get(k) != "false" {
		s.labels[attributionLabel] = "true"
	}
	slices.SortFunc(failures, func(a, b *pulumirpc.CheckFailure) int { return strings.Compare(a.Property, b.Property) })
	return s, failures
}

func (s settings) setLabels(decoded any, fail func(setting, string, ...any)) {
	labels, ok := decoded.(map[string]any)
	if !ok {
		fail(defaultLabels, "gcp:%s must be a map of strings", defaultLabels)
		return
	}
	for k, v := range labels {
		text, ok := v.(string)
		if !ok {
			fail(defaultLabels, "gcp:%s.%s must be a string", defaultLabels, k)
		}
		s.labels[k] = text
	}
}

// isOtherKey tells the keys that are no property of the SDK's provider resource:
// what the engine adds, and what the plugin takes as stack configuration only.
func isOtherKey(key string) bool {
	return key == "skipRegionValidation" || key == "disableGlobalProjectWarning" ||
		key == "version" || key == "pluginDownloadURL" || key == "pluginChecksums" || strings.HasPrefix(key, "__")
}

func jsonValue(v resource.PropertyValue) (any, error) {
	if !v.IsString() {
		return v.Mappable(), nil
	}
	var decoded any
	if err := json.Unmarshal([]byte(v.StringValue()), &decoded); err != nil {
		return nil, err
	}
	return decoded, nil
}

func scalarText(v resource.PropertyValue) string {
	if v.IsString() {
		return v.StringValue()
	}
	return fmt.Sprint(v.Mappable())
}

// checkEndpoint refuses whatever is not plain HTTP to this machine. The client
// dials nothing but loopback addresses either; this says so before a plan.
func checkEndpoint(endpoint, path string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("is not a URL: set it to http://127.0.0.1:PORT%s", path)
	}
	switch {
	case u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("must be a plain http://127.0.0.1:PORT%s, not %q", path, u.Redacted())
	case !isLoopback(u.Hostname()):
		return fmt.Errorf("is %q, which is not this machine: the local cloud never calls out; set it to http://127.0.0.1:PORT%s", u.Redacted(), path)
	case path != "" && u.Path != path:
		return fmt.Errorf("is %q and must end in the path %q", u.Redacted(), path)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// CheckConfig reports every problem of the provider's configuration at once.
func (s *Server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	news, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	_, failures := readSettings(news)
	return &pulumirpc.CheckResponse{Inputs: req.GetNews(), Failures: failures}, nil
}

// DiffConfig never replaces: what the resources depend on (project, region) is
// part of their own inputs.
func (s *Server) DiffConfig(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	olds, err := unmarshal(req.GetOldInputs())
	if err != nil {
		return nil, err
	}
	news, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	diff := olds.Diff(news)
	if diff == nil {
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
	}
	var changed []string
	for _, k := range diff.Keys() {
		if diff.Changed(k) {
			changed = append(changed, string(k))
		}
	}
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_SOME, Diffs: changed}, nil
}

// Configure takes the configuration that CheckConfig has passed. Secrets need
// no acceptance: the engine strips them from what it sends and marks what comes
// back, as it does with the plugin.
func (s *Server) Configure(ctx context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	config, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, err
	}
	set, failures := readSettings(config)
	if len(failures) > 0 {
		reasons := make([]string, 0, len(failures))
		for _, f := range failures {
			reasons = append(reasons, f.Reason)
		}
		return nil, status.Error(codes.InvalidArgument, strings.Join(reasons, "; "))
	}
	conn, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return nil, status.Error(codes.Internal, "configure: the connection has no state")
	}
	if before := conn.client.Swap(newClient(s.running, s.log, set)); before != nil {
		before.cancel()
	}
	return &pulumirpc.ConfigureResponse{SupportsPreview: true}, nil
}

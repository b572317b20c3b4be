package apis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/serviceusage/apiv1/serviceusagepb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// knownAPIs are the APIs that can be enabled, with the titles that Google's
// messages use. That one is here does not mean that the local cloud serves it.
var knownAPIs = map[string]string{
	"artifactregistry.googleapis.com":     "Artifact Registry API",
	"billingbudgets.googleapis.com":       "Cloud Billing Budget API",
	"binaryauthorization.googleapis.com":  "Binary Authorization API",
	"cloudbilling.googleapis.com":         "Cloud Billing API",
	"cloudbuild.googleapis.com":           "Cloud Build API",
	"cloudidentity.googleapis.com":        "Cloud Identity API",
	"cloudkms.googleapis.com":             "Cloud Key Management Service (KMS) API",
	"cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
	"cloudtrace.googleapis.com":           "Cloud Trace API",
	"compute.googleapis.com":              "Compute Engine API",
	"containeranalysis.googleapis.com":    "Container Analysis API",
	"iam.googleapis.com":                  "Identity and Access Management (IAM) API",
	"iamcredentials.googleapis.com":       "IAM Service Account Credentials API",
	"logging.googleapis.com":              "Cloud Logging API",
	"monitoring.googleapis.com":           "Cloud Monitoring API",
	"orgpolicy.googleapis.com":            "Organization Policy API",
	"run.googleapis.com":                  "Cloud Run Admin API",
	"secretmanager.googleapis.com":        "Secret Manager API",
	"serviceusage.googleapis.com":         "Service Usage API",
	"storage.googleapis.com":              "Cloud Storage API",
	"sts.googleapis.com":                  "Security Token Service API",
}

// maxBatchEnable and maxBatchGet are Service Usage's own bounds.
const (
	maxBatchEnable = 20
	maxBatchGet    = 30
)

// serviceUsage knows which APIs are enabled in which project.
type serviceUsage struct {
	serviceusagepb.UnimplementedServiceUsageServer
	projects   *projects
	operations *operations

	mu      sync.Mutex
	enabled map[string]map[string]bool // project id, API
}

func newServiceUsage(projects *projects, operations *operations) *serviceUsage {
	return &serviceUsage{projects: projects, operations: operations, enabled: map[string]map[string]bool{}}
}

func (u *serviceUsage) isEnabled(on project, api string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.enabled[on.id][api]
}

func (u *serviceUsage) enabledIn(id string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.enabled[id]))
}

// mustBeEnabled gives Google's error, which says where to enable the API.
func (u *serviceUsage) mustBeEnabled(on project, api string) error {
	if u.isEnabled(on, api) {
		return nil
	}
	consumer := fmt.Sprintf("projects/%d", on.number)
	visit := fmt.Sprintf("https://console.developers.google.com/apis/api/%s/overview?project=%d", api, on.number)
	return detailed(codes.PermissionDenied,
		fmt.Sprintf("%s has not been used in project %d before or it is disabled. Enable it by visiting %s then retry. "+
			"If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.",
			knownAPIs[api], on.number, visit),
		&errdetails.Help{Links: []*errdetails.Help_Link{{Description: "Google developers console API activation", Url: visit}}},
		&errdetails.ErrorInfo{
			Reason: "SERVICE_DISABLED", Domain: "googleapis.com",
			Metadata: map[string]string{"service": api, "consumer": consumer, "serviceTitle": knownAPIs[api], "activationUrl": visit},
		})
}

func (u *serviceUsage) EnableService(_ context.Context, req *serviceusagepb.EnableServiceRequest) (*longrunningpb.Operation, error) {
	on, api, err := u.parse(req.GetName())
	if err != nil {
		return nil, err
	}
	u.set(on, []string{api}, true)
	return u.done(on, []string{api}, &serviceusagepb.EnableServiceResponse{Service: u.describe(on, api)}), nil
}

func (u *serviceUsage) DisableService(_ context.Context, req *serviceusagepb.DisableServiceRequest) (*longrunningpb.Operation, error) {
	on, api, err := u.parse(req.GetName())
	if err != nil {
		return nil, err
	}
	u.set(on, []string{api}, false)
	return u.done(on, []string{api}, &serviceusagepb.DisableServiceResponse{Service: u.describe(on, api)}), nil
}

func (u *serviceUsage) BatchEnableServices(_ context.Context, req *serviceusagepb.BatchEnableServicesRequest) (*longrunningpb.Operation, error) {
	on, err := u.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	if n := len(req.GetServiceIds()); n == 0 || n > maxBatchEnable {
		return nil, status.Errorf(codes.InvalidArgument, "service_ids must have 1 to %d entries, not %d", maxBatchEnable, n)
	}
	if err := mustBeKnown(req.GetServiceIds()); err != nil {
		return nil, err
	}
	u.set(on, req.GetServiceIds(), true)
	response := &serviceusagepb.BatchEnableServicesResponse{}
	for _, api := range req.GetServiceIds() {
		response.Services = append(response.Services, u.describe(on, api))
	}
	return u.done(on, req.GetServiceIds(), response), nil
}

func (u *serviceUsage) GetService(_ context.Context, req *serviceusagepb.GetServiceRequest) (*serviceusagepb.Service, error) {
	on, api, err := u.parse(req.GetName())
	if err != nil {
		return nil, err
	}
	return u.describe(on, api), nil
}

func (u *serviceUsage) BatchGetServices(_ context.Context, req *serviceusagepb.BatchGetServicesRequest) (*serviceusagepb.BatchGetServicesResponse, error) {
	on, err := u.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	if n := len(req.GetNames()); n == 0 || n > maxBatchGet {
		return nil, status.Errorf(codes.InvalidArgument, "names must have 1 to %d entries, not %d", maxBatchGet, n)
	}
	response := &serviceusagepb.BatchGetServicesResponse{}
	for _, name := range req.GetNames() {
		owner, api, err := u.parse(name)
		if err != nil {
			return nil, err
		}
		if owner != on {
			return nil, status.Errorf(codes.InvalidArgument, "names: %q is not in %s", name, req.GetParent())
		}
		response.Services = append(response.Services, u.describe(on, api))
	}
	return response, nil
}

func (u *serviceUsage) ListServices(_ context.Context, req *serviceusagepb.ListServicesRequest) (*serviceusagepb.ListServicesResponse, error) {
	on, err := u.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	wanted, err := parseStateFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	var all []*serviceusagepb.Service
	for _, api := range slices.Sorted(maps.Keys(knownAPIs)) {
		one := u.describe(on, api)
		if wanted == serviceusagepb.State_STATE_UNSPECIFIED || one.GetState() == wanted {
			all = append(all, one)
		}
	}
	const most = 200 // Service Usage's largest page
	items, next, err := page(all, (*serviceusagepb.Service).GetName, req.GetPageSize(), req.GetPageToken(), most)
	return &serviceusagepb.ListServicesResponse{Services: items, NextPageToken: next}, err
}

func parseStateFilter(filter string) (serviceusagepb.State, error) {
	switch filter {
	case "":
		return serviceusagepb.State_STATE_UNSPECIFIED, nil
	case "state:ENABLED":
		return serviceusagepb.State_ENABLED, nil
	case "state:DISABLED":
		return serviceusagepb.State_DISABLED, nil
	default:
		return 0, status.Errorf(codes.InvalidArgument, "Invalid filter %q: it must be state:ENABLED or state:DISABLED.", filter)
	}
}

func (u *serviceUsage) set(on project, apis []string, enabled bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.enabled[on.id] == nil {
		u.enabled[on.id] = map[string]bool{}
	}
	for _, api := range apis {
		if enabled {
			u.enabled[on.id][api] = true
		} else {
			delete(u.enabled[on.id], api)
		}
	}
}

func (u *serviceUsage) describe(on project, api string) *serviceusagepb.Service {
	parent := fmt.Sprintf("projects/%d", on.number)
	state := serviceusagepb.State_DISABLED
	if u.isEnabled(on, api) {
		state = serviceusagepb.State_ENABLED
	}
	return &serviceusagepb.Service{
		Name: parent + "/services/" + api, Parent: parent, State: state,
		Config: &serviceusagepb.ServiceConfig{Name: api, Title: knownAPIs[api]},
	}
}

func (u *serviceUsage) done(on project, apis []string, response proto.Message) *longrunningpb.Operation {
	metadata := &serviceusagepb.OperationMetadata{}
	for _, api := range apis {
		metadata.ResourceNames = append(metadata.ResourceNames, fmt.Sprintf("services/%s/projectSettings/%d", api, on.number))
	}
	return u.operations.finished("operations/acat."+newUUID(), metadata, response)
}

func (u *serviceUsage) parent(name string) (project, error) {
	if values, ok := match("projects/*", name); ok {
		if found, ok := u.projects.find(values[0]); ok {
			return found, nil
		}
	}
	return project{}, denied("serviceusage.services.get", name)
}

func (u *serviceUsage) parse(name string) (project, string, error) {
	parent, api, ok := strings.Cut(name, "/services/")
	if !ok {
		return project{}, "", status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/services/NAME.googleapis.com.", name)
	}
	on, err := u.parent(parent)
	if err != nil {
		return project{}, "", err
	}
	return on, api, mustBeKnown([]string{api})
}

func mustBeKnown(apis []string) error {
	var unknown []string
	for _, api := range apis {
		if _, ok := knownAPIs[api]; !ok {
			unknown = append(unknown, api)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	names := strings.Join(unknown, ", ")
	return detailed(codes.PermissionDenied,
		fmt.Sprintf("Not found or permission denied for service(s): %s.", names),
		&errdetails.ErrorInfo{
			Reason: "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED", Domain: "serviceusage.googleapis.com",
			Metadata: map[string]string{"services": names},
		})
}

package provider

import (
	"context"
	"net/http"
	"net/url"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/organizations"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The functions that a program may invoke.
const (
	getProjectToken = "gcp:organizations/getProject:getProject"
	// AttachedToken is this provider's own: no real plugin has it.
	AttachedToken = "gcp:localcloud/attached:attached"
)

// Invoke calls a function.
func (s *Server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	args, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, err
	}
	switch req.GetTok() {
	case AttachedToken:
		return answer(resource.PropertyMap{"nonce": resource.NewStringProperty(s.nonce)})
	case getProjectToken:
		return s.getProject(ctx, args)
	default:
		return nil, status.Errorf(codes.InvalidArgument, "the local cloud has no function %q; it has %s and %s",
			req.GetTok(), getProjectToken, AttachedToken)
	}
}

func (s *Server) getProject(ctx context.Context, args resource.PropertyMap) (*pulumirpc.InvokeResponse, error) {
	c := configuredClient(ctx)
	if c == nil {
		return nil, status.Error(codes.FailedPrecondition, "the provider is not configured on this connection")
	}
	v := validation{}
	v.object("", "", inputSchema(organizations.LookupProjectOutputArgs{}), args)
	if len(v.failures) > 0 {
		return &pulumirpc.InvokeResponse{Failures: v.failures}, nil
	}
	id := text(args, "projectId")
	if id == "" {
		id = c.get(project)
	}
	if id == "" {
		return &pulumirpc.InvokeResponse{Failures: []*pulumirpc.CheckFailure{{
			Property: "projectId", Reason: "projectId is not set: give it, or set gcp:project in the configuration"}}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	defer context.AfterFunc(c.running, cancel)()
	object, err := c.call(ctx, http.MethodGet, c.url(resourceManagerEndpoint, "v1/projects/"+url.PathEscape(id)), nil)
	if err != nil {
		return nil, status.Errorf(codes.Unknown, "reading project %s: %v", id, err)
	}
	return answer(projectResult(object))
}

// projectResult is the API's project in the function's shape.
func projectResult(object map[string]any) resource.PropertyMap {
	result := resource.PropertyMap{}
	for name, key := range map[string]string{"projectId": "projectId", "name": "name", "number": "projectNumber"} {
		value, _ := object[key].(string)
		setText(result, name, value)
	}
	setText(result, "id", "projects/"+text(result, "projectId"))
	all := textMap(object[labels])
	for _, key := range []string{labels, effectiveLabels, pulumiLabels} {
		setObject(result, key, all)
	}
	for _, key := range []string{"billingAccount", "deletionPolicy", "folderId", "orgId"} {
		setText(result, key, "")
	}
	if parent, ok := object["parent"].(map[string]any); ok {
		id, _ := parent["id"].(string)
		switch parent["type"] {
		case "organization":
			setText(result, "orgId", id)
		case "folder":
			setText(result, "folderId", id)
		}
	}
	return result
}

func answer(props resource.PropertyMap) (*pulumirpc.InvokeResponse, error) {
	marshaled, err := marshal(props)
	return &pulumirpc.InvokeResponse{Return: marshaled}, err
}

package provider

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/organizations"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// AttachedToken is this provider's own function: no real plugin has it.
const AttachedToken = "gcp:localcloud/attached:attached"

// lookup is a function that reads one thing of a project.
type lookup struct {
	args     *schema
	named    string // the argument that says which project; empty means the configured one
	endpoint setting
	path     string // after the endpoint, with %s for the project
	result   func(project string, object map[string]any) resource.PropertyMap
}

var lookups = map[string]lookup{
	"gcp:organizations/getProject:getProject": {
		inputSchema(organizations.LookupProjectOutputArgs{}), "projectId", resourceManagerEndpoint, "v1/projects/%s", projectResult},
	"gcp:storage/getProjectServiceAccount:getProjectServiceAccount": {
		inputSchema(storage.GetProjectServiceAccountOutputArgs{}), "project", storageEndpoint, "projects/%s/serviceAccount", storageAccountResult},
}

// Invoke calls a function.
func (s *Server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	args, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, err
	}
	if req.GetTok() == AttachedToken {
		return answer(resource.PropertyMap{"nonce": resource.NewStringProperty(s.nonce)})
	}
	if function, ok := lookups[req.GetTok()]; ok {
		return function.call(ctx, args)
	}
	return nil, status.Errorf(codes.InvalidArgument, "the local cloud has no function %q; it has %s and %s",
		req.GetTok(), strings.Join(slices.Sorted(maps.Keys(lookups)), ", "), AttachedToken)
}

func (l lookup) call(ctx context.Context, args resource.PropertyMap) (*pulumirpc.InvokeResponse, error) {
	c := configuredClient(ctx)
	if c == nil {
		return nil, status.Error(codes.FailedPrecondition, "the provider is not configured on this connection")
	}
	v := validation{}
	v.object("", "", l.args, args)
	if len(v.failures) > 0 {
		return &pulumirpc.InvokeResponse{Failures: v.failures}, nil
	}
	id := text(args, l.named)
	if id == "" {
		id = c.get(project)
	}
	if id == "" {
		return &pulumirpc.InvokeResponse{Failures: []*pulumirpc.CheckFailure{{
			Property: l.named, Reason: l.named + " is not set: give it, or set gcp:project in the configuration"}}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	defer context.AfterFunc(c.running, cancel)()
	object, err := c.call(ctx, http.MethodGet, c.url(l.endpoint, fmt.Sprintf(l.path, url.PathEscape(id))), nil)
	if err != nil {
		return nil, status.Errorf(codes.Unknown, "reading project %s: %v", id, err)
	}
	return answer(l.result(id, object))
}

// storageAccountResult is Cloud Storage's account in the function's shape.
func storageAccountResult(project string, object map[string]any) resource.PropertyMap {
	email, _ := object["email_address"].(string)
	result := resource.PropertyMap{}
	setText(result, "project", project)
	setText(result, "emailAddress", email)
	setText(result, "id", email)
	setText(result, "member", "serviceAccount:"+email)
	return result
}

// projectResult is the API's project in the function's shape.
func projectResult(_ string, object map[string]any) resource.PropertyMap {
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

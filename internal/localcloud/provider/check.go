package provider

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Check validates inputs, reporting every problem with its path, and fills in
// what the plugin does before it plans.
func (s *Server) Check(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	_, end, t, c, err := begin(ctx, req.GetUrn(), 0)
	if err != nil {
		return nil, err
	}
	defer end()
	olds, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	if t.autoName != "" {
		if err := autoName(t, req, inputs, olds); err != nil {
			return nil, err
		}
	}
	if t.presume != nil {
		t.presume(inputs)
	}
	if failures := append(validate(t, inputs), missingSettings(t, inputs, c.settings)...); len(failures) > 0 {
		return &pulumirpc.CheckResponse{Inputs: req.GetNews(), Failures: failures}, nil
	}
	checked, err := marshal(withDefaults(t, inputs, c.settings))
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: checked}, nil
}

// autoName keeps the name that a resource has, or makes one from its name in
// the program.
func autoName(t *resourceType, req *pulumirpc.CheckRequest, inputs, olds resource.PropertyMap) error {
	key := resource.PropertyKey(t.autoName)
	if _, given := inputs[key]; given {
		return nil
	}
	if old, had := olds[key]; had {
		inputs[key] = old
		return nil
	}
	name, err := resource.NewUniqueName(req.GetRandomSeed(), resource.URN(req.GetUrn()).Name()+"-", 7, t.autoNameMax, nil)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "making a name for %s: %v; set %s", req.GetUrn(), err, t.autoName)
	}
	inputs[key] = resource.NewStringProperty(name)
	return nil
}

// missingSettings are the properties that neither the program nor the provider's
// configuration gives.
func missingSettings(t *resourceType, inputs resource.PropertyMap, set settings) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	for _, name := range t.inputs.names() {
		from := t.traits[name].config
		if from == "" || set.get(from) != "" || hasKey(inputs, resource.PropertyKey(name)) {
			continue
		}
		failures = append(failures, &pulumirpc.CheckFailure{
			Property: name,
			Reason:   fmt.Sprintf("%s is not set: set it on the resource, or gcp:%s in the configuration", name, from),
		})
	}
	return failures
}

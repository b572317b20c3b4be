package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// defaultTimeout bounds one change of a resource, as the plugin's own does,
// unless the program sets custom timeouts.
const defaultTimeout = 20 * time.Minute

// begin finds what a request is about. The context ends with the request, with
// the engine's cancellation, and after the timeout (in seconds; 0 is the
// default).
func begin(ctx context.Context, urn string, seconds float64) (context.Context, func(), *resourceType, *client, error) {
	t, err := typeOf(urn)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	c := configuredClient(ctx)
	if c == nil {
		return nil, nil, nil, nil, status.Error(codes.FailedPrecondition, "the provider is not configured on this connection")
	}
	timeout := defaultTimeout
	if seconds > 0 {
		timeout = time.Duration(seconds * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(c.running, cancel)
	return ctx, func() { stop(); cancel() }, t, c, nil
}

// Diff compares the state as last read with checked inputs.
func (s *Server) Diff(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	_, end, t, c, err := begin(ctx, req.GetUrn(), 0)
	if err != nil {
		return nil, err
	}
	defer end()
	state, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	if err := ignore(req.GetIgnoreChanges(), state, inputs); err != nil {
		return nil, err
	}
	d := diff(t, inputs, state, c.settings)
	resp := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		HasDetailedDiff: true,
		DetailedDiff:    d.changes,
		Diffs:           slices.Sorted(maps.Keys(d.top)),
		Replaces:        slices.Sorted(maps.Keys(d.replaces)),
	}
	if len(d.changes) > 0 {
		resp.Changes = pulumirpc.DiffResponse_DIFF_SOME
	}
	resp.DeleteBeforeReplace = len(d.replaces) > 0 && sameIdentity(t, inputs, state)
	return resp, nil
}

// sameIdentity: the new resource would have the old one's name, so the old one
// must go first.
func sameIdentity(t *resourceType, inputs, state resource.PropertyMap) bool {
	if t.fixedName == "" {
		return false
	}
	key := resource.PropertyKey(t.fixedName)
	return !isUnknown(inputs[key]) && sameName(text(state, t.fixedName), text(inputs, t.fixedName))
}

// ignore gives inputs the state's values at the paths of the resource option
// ignoreChanges. The engine has done so with the inputs before, which do not
// hold what another client has set since.
func ignore(paths []string, state, inputs resource.PropertyMap) error {
	for _, p := range paths {
		path, err := resource.ParsePropertyPath(p)
		if err != nil {
			return status.Errorf(codes.InvalidArgument, "ignoreChanges %q: %v", p, err)
		}
		path.Reset(state, inputs)
	}
	return nil
}

// Create makes a resource, or in a preview says what it would be.
func (s *Server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	ctx, end, t, c, err := begin(ctx, req.GetUrn(), req.GetTimeout())
	if err != nil {
		return nil, err
	}
	defer end()
	inputs, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	if req.GetPreview() {
		planned, err := marshal(planCreate(t, inputs, c.settings))
		return &pulumirpc.CreateResponse{Properties: planned}, err
	}
	props := t.desired(inputs, resource.PropertyMap{}, c.settings)
	id, made := t.api.create(ctx, c, t, props)
	if made != nil && !isHalfDone(made) {
		return nil, creating(t, req.GetUrn(), id, made)
	}
	_, state, err := t.readState(ctx, c, id, props)
	if err != nil {
		return nil, failed("creating", t, id, errors.Join(made, err))
	}
	marshaled, err := marshal(state)
	if err != nil {
		return nil, err
	}
	if made != nil {
		return nil, halfDone("creating", t, id, made, req.GetProperties(), marshaled)
	}
	return &pulumirpc.CreateResponse{Id: id, Properties: marshaled}, nil
}

func creating(t *resourceType, urn, id string, err error) error {
	if id == "" { // which the API would have assigned
		return failed("creating", t, resource.URN(urn).Name(), err)
	}
	if hasCode(err, http.StatusConflict) {
		return status.Errorf(codes.AlreadyExists,
			"creating %s %s: %v\nit exists already, and is not in this stack: delete it, or take it in with `pulumi import %s %s '%s'`",
			t.token, id, err, t.token, resource.URN(urn).Name(), id)
	}
	return failed("creating", t, id, err)
}

func failed(doing string, t *resourceType, id string, err error) error {
	return status.Errorf(codes.Unknown, "%s %s %s: %v", doing, t.token, id, err)
}

// isHalfDone: the operation was accepted and failed later, as when a revision
// does not become ready. The resource is there, and the stack must know it.
func isHalfDone(err error) bool {
	var operation *operationError
	return errors.As(err, &operation)
}

// halfDone is the error that has the engine keep the resource in the state, and
// update it next time.
func halfDone(doing string, t *resourceType, id string, err error, inputs, state *structpb.Struct) error {
	reason := fmt.Sprintf("%s %s %s: %v", doing, t.token, id, err)
	return rpcerror.WithDetails(rpcerror.New(codes.Unknown, reason), &pulumirpc.ErrorResourceInitFailed{
		Id: id, Properties: state, Inputs: inputs, Reasons: []string{reason},
	})
}

// Read takes a resource as it is, for a refresh or an import. One that is gone
// has no id.
func (s *Server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	ctx, end, t, c, err := begin(ctx, req.GetUrn(), 0)
	if err != nil {
		return nil, err
	}
	defer end()
	before, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(req.GetInputs())
	if err != nil {
		return nil, err
	}
	id, state, err := t.readState(ctx, c, req.GetId(), before)
	if hasCode(err, http.StatusNotFound) {
		return &pulumirpc.ReadResponse{}, nil
	}
	if err != nil {
		return nil, failed("reading", t, req.GetId(), err)
	}
	resp := &pulumirpc.ReadResponse{Id: id}
	if resp.Properties, err = marshal(state); err != nil {
		return nil, err
	}
	resp.Inputs, err = marshal(t.inputsFrom(state, inputs, c.settings))
	return resp, err
}

// readState is the resource with that id as Pulumi keeps it, and its id in the
// full form. before is what is known or wanted of it, or nothing.
func (t *resourceType) readState(ctx context.Context, c *client, id string, before resource.PropertyMap) (string, resource.PropertyMap, error) {
	props, err := t.located(c, id, before)
	if err != nil {
		return "", nil, err
	}
	object, err := t.api.read(ctx, c, t, props)
	if err != nil {
		return "", nil, err
	}
	state := t.state(object, props, before)
	full, err := t.api.id(state)
	return full, state, err
}

// located is props with what the id says, and what the configuration does where
// neither says it.
func (t *resourceType) located(c *client, id string, props resource.PropertyMap) (resource.PropertyMap, error) {
	identity, err := t.api.parse(id)
	if err != nil {
		return nil, err
	}
	all := resource.PropertyMap{}
	merge(all, props)
	for k, v := range identity {
		if !all[k].IsObject() { // a condition is known in full, once read
			all[k] = v
		}
	}
	for name, tr := range t.traits {
		if !hasKey(all, resource.PropertyKey(name)) && tr.config != "" && c.get(tr.config) != "" {
			setText(all, name, c.get(tr.config))
		}
	}
	return all, nil
}

// Update changes a resource in place, or in a preview says what it would be.
func (s *Server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	ctx, end, t, c, err := begin(ctx, req.GetUrn(), req.GetTimeout())
	if err != nil {
		return nil, err
	}
	defer end()
	old, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	if err := ignore(req.GetIgnoreChanges(), old, inputs); err != nil {
		return nil, err
	}
	planned := planUpdate(t, inputs, old, c.settings)
	if req.GetPreview() {
		marshaled, err := marshal(planned)
		return &pulumirpc.UpdateResponse{Properties: marshaled}, err
	}
	props, err := t.located(c, req.GetId(), planned)
	if err != nil {
		return nil, failed("updating", t, req.GetId(), err)
	}
	changed := slices.Sorted(maps.Keys(diff(t, inputs, old, c.settings).top))
	if len(changed) == 0 {
		// The engine asks for it all the same after an update that failed half
		// way: the whole of it has to be tried again.
		changed = t.inputs.names()
	}
	made := t.api.update(ctx, c, t, props, changed)
	if made != nil && !isHalfDone(made) {
		return nil, failed("updating", t, req.GetId(), made)
	}
	_, state, err := t.readState(ctx, c, req.GetId(), planned)
	if err != nil {
		return nil, failed("updating", t, req.GetId(), errors.Join(made, err))
	}
	marshaled, err := marshal(state)
	if err != nil {
		return nil, err
	}
	if made != nil {
		return nil, halfDone("updating", t, req.GetId(), made, req.GetNews(), marshaled)
	}
	return &pulumirpc.UpdateResponse{Properties: marshaled}, nil
}

// Delete removes a resource. One that is gone already is no error.
func (s *Server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	ctx, end, t, c, err := begin(ctx, req.GetUrn(), req.GetTimeout())
	if err != nil {
		return nil, err
	}
	defer end()
	state, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	if t.undeletable != nil {
		if err := t.undeletable(state); err != nil {
			return nil, failed("deleting", t, req.GetId(), err)
		}
	}
	props, err := t.located(c, req.GetId(), state)
	if err != nil {
		return nil, failed("deleting", t, req.GetId(), err)
	}
	if err := t.api.delete(ctx, c, t, props); err != nil && !hasCode(err, http.StatusNotFound) {
		return nil, failed("deleting", t, req.GetId(), err)
	}
	return &emptypb.Empty{}, nil
}

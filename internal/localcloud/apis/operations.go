package apis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sort"
	"strings"
	"sync"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// maxOperations bounds what is remembered: the oldest that have ended go first.
const maxOperations = 10_000

// noOperation is Service Usage's answer when there is nothing to do.
const noOperation = "operations/noop.DONE_OPERATION"

// operations are the long-running operations of every API: the gRPC service
// that tells about them exists once.
type operations struct {
	longrunningpb.UnimplementedOperationsServer

	mu     sync.Mutex
	byName map[string]*operation
	oldest []string // names in the order of their start
}

type operation struct {
	state *longrunningpb.Operation // replaced, never changed
	done  chan struct{}
}

func newOperations() *operations {
	return &operations{byName: map[string]*operation{}}
}

// newOperationName is an unused name in a location, as Cloud Run's and Artifact
// Registry's are.
func newOperationName(project, location string) string {
	return "projects/" + project + "/locations/" + location + "/operations/" + newUUID()
}

// start makes an operation that is under way.
func (o *operations) start(name string, metadata proto.Message) *longrunningpb.Operation {
	state := &longrunningpb.Operation{Name: name, Metadata: toAny(metadata)}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgetSome()
	o.byName[name] = &operation{state: state, done: make(chan struct{})}
	o.oldest = append(o.oldest, name)
	return state
}

// finish ends an operation with its response, or with err.
func (o *operations) finish(name string, response proto.Message, err error) *longrunningpb.Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	op := o.byName[name]
	state := ended(name, op.state.GetMetadata(), response, err)
	op.state = state
	close(op.done)
	return state
}

// finished makes an operation that had nothing to wait for.
func (o *operations) finished(name string, metadata, response proto.Message) *longrunningpb.Operation {
	o.start(name, metadata)
	return o.finish(name, response, nil)
}

func ended(name string, metadata *anypb.Any, response proto.Message, err error) *longrunningpb.Operation {
	state := &longrunningpb.Operation{Name: name, Metadata: metadata, Done: true}
	if err != nil {
		state.Result = &longrunningpb.Operation_Error{Error: status.Convert(err).Proto()}
	} else {
		state.Result = &longrunningpb.Operation_Response{Response: toAny(response)}
	}
	return state
}

// forgetSome makes room; o.mu is held.
func (o *operations) forgetSome() {
	for i := 0; i < len(o.oldest) && len(o.oldest) >= maxOperations; {
		name := o.oldest[i]
		if !o.byName[name].state.GetDone() {
			i++
			continue
		}
		delete(o.byName, name)
		o.oldest = append(o.oldest[:i], o.oldest[i+1:]...)
	}
}

func (o *operations) find(name string) (*operation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op, ok := o.byName[name]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Operation %q was not found.", name)
	}
	return op, nil
}

func (o *operations) GetOperation(_ context.Context, req *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	if req.GetName() == noOperation {
		return ended(noOperation, nil, &emptypb.Empty{}, nil), nil
	}
	return o.current(req.GetName())
}

func (o *operations) current(name string) (*longrunningpb.Operation, error) {
	op, err := o.find(name)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return op.state, nil
}

// WaitOperation answers when the operation has ended, or the request's timeout
// or deadline is over: then with the operation as it is.
func (o *operations) WaitOperation(ctx context.Context, req *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	op, err := o.find(req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetTimeout() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.GetTimeout().AsDuration())
		defer cancel()
	}
	select {
	case <-op.done:
	case <-ctx.Done():
	}
	return o.current(req.GetName())
}

func (o *operations) ListOperations(_ context.Context, req *longrunningpb.ListOperationsRequest) (*longrunningpb.ListOperationsResponse, error) {
	prefix := strings.TrimSuffix(strings.TrimSuffix(req.GetName(), "/operations"), "/") + "/operations/"
	if req.GetName() == "operations" {
		prefix = "operations/"
	}
	o.mu.Lock()
	var all []*longrunningpb.Operation
	for name, op := range o.byName {
		if strings.HasPrefix(name, prefix) {
			all = append(all, op.state)
		}
	}
	o.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].GetName() < all[j].GetName() })
	items, next, err := page(all, (*longrunningpb.Operation).GetName, req.GetPageSize(), req.GetPageToken(), 100)
	return &longrunningpb.ListOperationsResponse{Operations: items, NextPageToken: next}, err
}

// toAny never fails: every message here is one of ours, with valid text.
func toAny(m proto.Message) *anypb.Any {
	if m == nil {
		return nil
	}
	a, err := anypb.New(m)
	if err != nil {
		return nil
	}
	return a
}

// newUUID is a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

package apis

import (
	"context"
	"crypto/rand"
	"fmt"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// rollout is one change of a service on its way to the platform. A service has
// at most one.
type rollout struct {
	operation string
	revision  string // short name
	cancel    context.CancelFunc
	ended     chan struct{}
}

// roll brings found.state to the platform, in a new revision or in the latest
// one; s.mu is held.
func (s *services) roll(at place, found *service, newRevision bool) *longrunningpb.Operation {
	next := proto.CloneOf(found.state)
	if newRevision {
		found.made++
		revision := s.newRevision(next, found.made)
		found.revisions = append(found.revisions, revision)
		next.LatestCreatedRevision = revision.GetName()
	}
	next.Reconciling = true
	next.TerminalCondition = s.condition(conditionReady, runpb.Condition_CONDITION_RECONCILING, "")
	found.state = next

	operation := s.operations.start(newOperationName(at.id, at.location), next)
	ctx, cancel := context.WithCancel(context.Background())
	r := &rollout{
		operation: operation.GetName(), revision: lastSegment(next.GetLatestCreatedRevision()),
		cancel: cancel, ended: make(chan struct{}),
	}
	found.rollout = r
	s.tasks.start(func(closing context.Context) {
		defer cancel()
		stop := context.AfterFunc(closing, cancel)
		defer stop()
		uri, err := s.deploy(ctx, at.project, next, r.revision)
		s.settle(found, r, uri, err)
	})
	return operation
}

// deploy hands the platform what it needs: images at the local registry.
func (s *services) deploy(ctx context.Context, on project, svc *runpb.Service, revision string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	resolved := proto.CloneOf(svc)
	for _, container := range resolved.GetTemplate().GetContainers() {
		image, err := s.registry.resolve(ctx, on, container.GetImage())
		if err != nil {
			return "", err
		}
		container.Image = image
	}
	return s.platform.Deploy(ctx, resolved, revision)
}

// settle records how a rollout went and ends its operation.
func (s *services) settle(found *service, r *rollout, uri string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(r.ended)
	found.rollout = nil
	next := proto.CloneOf(found.state)
	next.Reconciling = false
	next.ObservedGeneration = next.GetGeneration()
	if err != nil {
		err = rolloutError(r.revision, err)
		s.logger.Info("rollout failed", "service", next.GetName(), "revision", r.revision, "error", err)
		message := status.Convert(err).Message()
		next.TerminalCondition = s.condition(conditionReady, runpb.Condition_CONDITION_FAILED, message)
		next.Conditions = []*runpb.Condition{
			s.condition("ConfigurationsReady", runpb.Condition_CONDITION_FAILED, message),
			s.condition("RoutesReady", runpb.Condition_CONDITION_FAILED, message),
		}
		found.settleRevision(s, r.revision, runpb.Condition_CONDITION_FAILED, message)
		found.state = next
		s.operations.finish(r.operation, nil, err)
		return
	}
	s.logger.Info("rollout ready", "service", next.GetName(), "revision", r.revision, "uri", uri)
	next.Uri, next.Urls = uri, []string{uri}
	if next.GetDefaultUriDisabled() {
		next.Uri, next.Urls = "", nil
	}
	next.LatestReadyRevision = next.GetLatestCreatedRevision()
	next.TrafficStatuses = trafficStatuses(next)
	next.TerminalCondition = s.condition(conditionReady, runpb.Condition_CONDITION_SUCCEEDED, "")
	next.Conditions = []*runpb.Condition{
		s.condition("RoutesReady", runpb.Condition_CONDITION_SUCCEEDED, ""),
		s.condition("ConfigurationsReady", runpb.Condition_CONDITION_SUCCEEDED, ""),
	}
	found.settleRevision(s, r.revision, runpb.Condition_CONDITION_SUCCEEDED, "")
	found.state = next
	s.operations.finish(r.operation, next, nil)
}

// rolloutError is in Cloud Run's words. The platform's own code is kept.
func rolloutError(revision string, err error) error {
	code := codes.FailedPrecondition
	if s, ok := status.FromError(err); ok {
		code, err = s.Code(), fmt.Errorf("%s", s.Message())
	}
	return status.Errorf(code, "Revision '%s' is not ready and cannot serve traffic. %v", revision, err)
}

// remove takes a service off the platform, after any rollout under way has been
// stopped; s.mu is held.
func (s *services) remove(at place, found *service) *longrunningpb.Operation {
	next := proto.CloneOf(found.state)
	next.Reconciling = true
	next.DeleteTime = s.clock.stamp()
	next.Etag = newEtag()
	found.state, found.deleting = next, true
	name, under := next.GetName(), found.rollout
	if under != nil {
		under.cancel()
	}
	operation := s.operations.start(newOperationName(at.id, at.location), next)
	s.tasks.start(func(closing context.Context) {
		if under != nil {
			<-under.ended
		}
		err := s.platform.Remove(closing, name)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			found.deleting = false
			back := proto.CloneOf(found.state)
			back.Reconciling, back.DeleteTime = false, nil
			found.state = back
			s.operations.finish(operation.GetName(), nil, status.Errorf(codes.Internal, "Resource '%s' could not be stopped: %v", name, err))
			return
		}
		delete(s.byName, name)
		s.policies.drop(name)
		s.logger.Info("service deleted", "service", name)
		s.operations.finish(operation.GetName(), next, nil)
	})
	return operation
}

const conditionReady = "Ready"

func (s *services) condition(kind string, state runpb.Condition_State, message string) *runpb.Condition {
	c := &runpb.Condition{Type: kind, State: state, Message: message, LastTransitionTime: s.clock.stamp()}
	if state == runpb.Condition_CONDITION_FAILED {
		c.Severity = runpb.Condition_ERROR
	}
	return c
}

func trafficStatuses(svc *runpb.Service) []*runpb.TrafficTargetStatus {
	var all []*runpb.TrafficTargetStatus
	for _, t := range svc.GetTraffic() {
		all = append(all, &runpb.TrafficTargetStatus{Type: t.GetType(), Revision: t.GetRevision(), Percent: t.GetPercent()})
	}
	return all
}

// newRevision makes the revision of a service's template: its name is the
// template's, or the service's with a number and three letters.
func (s *services) newRevision(svc *runpb.Service, number int) *runpb.Revision {
	t := proto.CloneOf(svc.GetTemplate())
	id := t.GetRevision()
	if id == "" {
		id = fmt.Sprintf("%s-%05d-%s", lastSegment(svc.GetName()), number, threeLetters())
	}
	now := s.clock.stamp()
	return &runpb.Revision{
		Name: svc.GetName() + "/revisions/" + id, Uid: newUUID(), Generation: 1, Etag: newEtag(),
		CreateTime: now, UpdateTime: now, Creator: svc.GetLastModifier(),
		Service: lastSegment(svc.GetName()), LaunchStage: svc.GetLaunchStage(),
		Labels: t.GetLabels(), Annotations: t.GetAnnotations(), Scaling: t.GetScaling(),
		MaxInstanceRequestConcurrency: t.GetMaxInstanceRequestConcurrency(), Timeout: t.GetTimeout(),
		ServiceAccount: t.GetServiceAccount(), Containers: t.GetContainers(),
		ExecutionEnvironment: t.GetExecutionEnvironment(), SessionAffinity: t.GetSessionAffinity(),
		VpcAccess: t.GetVpcAccess(), EncryptionKey: t.GetEncryptionKey(), Volumes: t.GetVolumes(),
		Reconciling: true,
		Conditions:  []*runpb.Condition{s.condition(conditionReady, runpb.Condition_CONDITION_RECONCILING, "")},
	}
}

// threeLetters end a revision's name. Without vowels they spell nothing.
func threeLetters() string {
	const letters = "bcdfghjkmnpqrstvwxz"
	var b [3]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:])
}

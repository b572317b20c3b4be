package apis

import (
	"context"
	"regexp"
	"slices"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

const loggingAPI = "logging.googleapis.com"

// Bounds of log buckets, after https://cloud.google.com/logging/docs/buckets.
const (
	defaultRetention  = 30 // days
	requiredRetention = 400
	maxRetention      = 3650
	// bucketRest is how long a deleted bucket keeps its name.
	bucketRest = 7 * 24 * time.Hour
)

var logBucketPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,98}$`)

// ownBuckets and ownSinks are those that Google makes with a project.
var ownBuckets = []string{"_Default", "_Required"}

// logging serves log buckets and sinks.
type logging struct {
	loggingpb.UnimplementedConfigServiceV2Server
	access     *access
	clock      clock
	operations *operations
	buckets    *shelf[*loggingpb.LogBucket]
	sinks      *shelf[*sink]
}

func newLogging(access *access, operations *operations, clock clock) *logging {
	l := &logging{access: access, operations: operations, clock: clock, buckets: newShelf[*loggingpb.LogBucket]("Bucket"), sinks: newShelf[*sink]("Sink")}
	for _, on := range access.projects.all() {
		l.furnish("projects/" + on.id)
	}
	return l
}

// furnish gives a project what every project has.
func (l *logging) furnish(project string) {
	for id, retention := range map[string]int32{"_Default": defaultRetention, "_Required": requiredRetention} {
		name := project + "/locations/global/buckets/" + id
		_ = l.buckets.add(name, &loggingpb.LogBucket{ // the shelf is empty
			Name: name, RetentionDays: retention, Locked: id == "_Required", LifecycleState: loggingpb.LifecycleState_ACTIVE,
		})
		_ = l.sinks.add(project+"/sinks/"+id, &sink{state: &loggingpb.LogSink{
			Name: id, Destination: loggingAPI + "/" + name,
		}})
	}
}

// settle lets the buckets go whose time has come.
func (l *logging) settle() {
	for _, name := range l.buckets.names() {
		_ = l.buckets.remove(name, func(b *loggingpb.LogBucket) error {
			if b.GetLifecycleState() == loggingpb.LifecycleState_DELETE_REQUESTED && l.clock().Sub(b.GetUpdateTime().AsTime()) >= bucketRest {
				return nil
			}
			return status.Error(codes.FailedPrecondition, "it stays")
		})
	}
}

func (l *logging) GetBucket(_ context.Context, req *loggingpb.GetBucketRequest) (*loggingpb.LogBucket, error) {
	l.settle()
	return l.buckets.get(l.access.canonical(req.GetName()))
}

func (l *logging) ListBuckets(_ context.Context, req *loggingpb.ListBucketsRequest) (*loggingpb.ListBucketsResponse, error) {
	l.settle()
	all, next, err := l.buckets.below(l.access.canonical(req.GetParent()), req.GetPageSize(), req.GetPageToken(), 1000)
	return &loggingpb.ListBucketsResponse{Buckets: all, NextPageToken: next}, err
}

// CreateBucketAsync and UpdateBucketAsync answer with an operation, which here
// has ended.
func (l *logging) CreateBucketAsync(ctx context.Context, req *loggingpb.CreateBucketRequest) (*longrunningpb.Operation, error) {
	made, err := l.CreateBucket(ctx, req)
	if err != nil {
		return nil, err
	}
	return l.done(made), nil
}

func (l *logging) UpdateBucketAsync(ctx context.Context, req *loggingpb.UpdateBucketRequest) (*longrunningpb.Operation, error) {
	changed, err := l.UpdateBucket(ctx, req)
	if err != nil {
		return nil, err
	}
	return l.done(changed), nil
}

func (l *logging) done(b *loggingpb.LogBucket) *longrunningpb.Operation {
	project, location := lastSegment(projectName(b.GetName())), locationOf(b.GetName())
	return l.operations.finished(newOperationName(project, location), &loggingpb.BucketMetadata{State: loggingpb.OperationState_OPERATION_STATE_SUCCEEDED}, b)
}

func (l *logging) CreateBucket(_ context.Context, req *loggingpb.CreateBucketRequest) (*loggingpb.LogBucket, error) {
	l.settle()
	parent := l.access.canonical(req.GetParent())
	made := &loggingpb.LogBucket{}
	if req.GetBucket() != nil {
		made = proto.CloneOf(req.GetBucket())
	}
	clearOutputOnly(made)
	if made.GetRetentionDays() == 0 {
		made.RetentionDays = defaultRetention
	}
	v := violations{request: "CreateBucketRequest"}
	values, ok := match("projects/*/locations/*", parent)
	if !ok || values[1] != "global" && !isRegistryLocation(values[1]) {
		v.add("parent", "%q is not projects/PROJECT/locations/LOCATION, with a region or global", req.GetParent())
	}
	if !logBucketPattern.MatchString(req.GetBucketId()) || slices.Contains(ownBuckets, req.GetBucketId()) {
		v.add("bucket_id", "%q must begin with a letter or digit and have at most 99 letters, digits, underscores, hyphens and periods", req.GetBucketId())
	}
	checkBucket(&v, made)
	if err := v.err(); err != nil {
		return nil, err
	}
	made.Name = parent + "/buckets/" + req.GetBucketId()
	made.CreateTime, made.UpdateTime = l.clock.stamp(), l.clock.stamp()
	made.LifecycleState = loggingpb.LifecycleState_ACTIVE
	return made, l.buckets.add(made.GetName(), made)
}

func checkBucket(v *violations, b *loggingpb.LogBucket) {
	if d := b.GetRetentionDays(); d < 1 || d > maxRetention {
		v.add("bucket.retention_days", "%d is not 1 to %d", d, maxRetention)
	}
	if n := len(b.GetDescription()); n > maxLogDescription {
		v.add("bucket.description", "%d bytes are too many; the most is %d", n, maxLogDescription)
	}
}

func (l *logging) UpdateBucket(_ context.Context, req *loggingpb.UpdateBucketRequest) (*loggingpb.LogBucket, error) {
	l.settle()
	return l.buckets.change(l.access.canonical(req.GetName()), func(old *loggingpb.LogBucket) (*loggingpb.LogBucket, error) {
		if old.GetLifecycleState() != loggingpb.LifecycleState_ACTIVE {
			return nil, status.Errorf(codes.FailedPrecondition, "Buckets must be in an ACTIVE state to be modified: %s is deleted, and blocks its name for 7 days.", old.GetName())
		}
		next := proto.CloneOf(old)
		if err := copyFields(next, req.GetBucket(), req.GetUpdateMask().GetPaths()); err != nil {
			return nil, err
		}
		restoreOutputs(next, old)
		v := violations{request: "UpdateBucketRequest"}
		checkBucket(&v, next)
		if old.GetAnalyticsEnabled() && !next.GetAnalyticsEnabled() {
			v.add("bucket.analytics_enabled", "Log Analytics cannot be turned off again")
		}
		if old.GetLocked() && (!next.GetLocked() || next.GetRetentionDays() != old.GetRetentionDays()) {
			v.add("bucket.locked", "A locked bucket keeps its lock and its retention")
		}
		if err := v.err(); err != nil {
			return nil, err
		}
		next.UpdateTime = l.clock.stamp()
		return next, nil
	})
}

// DeleteBucket marks a bucket as deleted: it goes for good, and frees its name,
// after 7 days.
func (l *logging) DeleteBucket(_ context.Context, req *loggingpb.DeleteBucketRequest) (*emptypb.Empty, error) {
	l.settle()
	name := l.access.canonical(req.GetName())
	if slices.Contains(ownBuckets, lastSegment(name)) {
		return nil, status.Errorf(codes.InvalidArgument, "%s cannot be deleted.", name)
	}
	_, err := l.buckets.change(name, func(old *loggingpb.LogBucket) (*loggingpb.LogBucket, error) {
		if old.GetLifecycleState() != loggingpb.LifecycleState_ACTIVE {
			return nil, status.Errorf(codes.FailedPrecondition, "%s is deleted already.", name)
		}
		next := proto.CloneOf(old)
		next.LifecycleState = loggingpb.LifecycleState_DELETE_REQUESTED
		next.UpdateTime = l.clock.stamp()
		return next, nil
	})
	return &emptypb.Empty{}, err
}

// inventory leaves out what a project always has, and what only waits for its
// end.
func (l *logging) inventory() []string {
	var names []string
	for _, name := range l.buckets.names() {
		b, err := l.buckets.get(name)
		if err == nil && b.GetLifecycleState() == loggingpb.LifecycleState_ACTIVE && !slices.Contains(ownBuckets, lastSegment(name)) {
			names = append(names, "//"+loggingAPI+"/"+name)
		}
	}
	for _, name := range l.sinks.names() {
		if !slices.Contains(ownBuckets, lastSegment(name)) {
			names = append(names, "//"+loggingAPI+"/"+name)
		}
	}
	return names
}

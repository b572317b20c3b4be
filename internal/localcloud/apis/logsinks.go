package apis

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// maxLogDescription bounds the descriptions of what Cloud Logging has, in bytes.
const maxLogDescription = 8000

// sharedWriter writes for the sinks that have no writer of their own.
const sharedWriter = "serviceAccount:cloud-logs@system.gserviceaccount.com"

var (
	sinkPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,98}$`)
	// destinationPattern after the field documentation of LogSink.destination.
	destinationPattern = regexp.MustCompile(`^(storage\.googleapis\.com/[^/]+` +
		`|bigquery\.googleapis\.com/projects/[^/]+/datasets/[^/]+` +
		`|pubsub\.googleapis\.com/projects/[^/]+/topics/[^/]+` +
		`|logging\.googleapis\.com/projects/[^/]+(/locations/[^/]+/buckets/[^/]+)?)$`)
)

// sink routes logs somewhere.
type sink struct {
	state  *loggingpb.LogSink // replaced, never changed
	unique bool               // has a writer of its project's own
}

// writer is who writes what a sink routes. To a bucket of the same project the
// logs go by themselves.
func (l *logging) writer(sinkName, destination string, unique bool) (string, error) {
	on, err := l.access.projectOf(sinkName)
	if err != nil {
		return "", err
	}
	if to, ok := strings.CutPrefix(destination, loggingAPI+"/"); ok {
		if target, known := l.access.projects.find(strings.Split(to, "/")[1]); known && target == on {
			return "", nil
		}
	}
	if !unique {
		return sharedWriter, nil
	}
	return "serviceAccount:" + on.loggingAgent(), nil
}

func (l *logging) GetSink(_ context.Context, req *loggingpb.GetSinkRequest) (*loggingpb.LogSink, error) {
	found, err := l.sinks.get(l.access.canonical(req.GetSinkName()))
	if err != nil {
		return nil, err
	}
	return found.state, nil
}

func (l *logging) ListSinks(_ context.Context, req *loggingpb.ListSinksRequest) (*loggingpb.ListSinksResponse, error) {
	found, next, err := l.sinks.below(l.access.canonical(req.GetParent())+"/sinks", req.GetPageSize(), req.GetPageToken(), 1000)
	response := &loggingpb.ListSinksResponse{NextPageToken: next}
	for _, one := range found {
		response.Sinks = append(response.Sinks, one.state)
	}
	return response, err
}

func (l *logging) CreateSink(_ context.Context, req *loggingpb.CreateSinkRequest) (*loggingpb.LogSink, error) {
	made := &loggingpb.LogSink{}
	if req.GetSink() != nil {
		made = proto.CloneOf(req.GetSink())
	}
	clearOutputOnly(made)
	v := violations{request: "CreateSinkRequest"}
	if !sinkPattern.MatchString(made.GetName()) || slices.Contains(ownBuckets, made.GetName()) {
		v.add("sink.name", "%q must begin with a letter or digit and have at most 99 letters, digits, underscores, hyphens and periods", made.GetName())
	}
	checkSink(&v, made)
	if err := v.err(); err != nil {
		return nil, err
	}
	name := l.access.canonical(req.GetParent()) + "/sinks/" + made.GetName()
	writer, err := l.writer(name, made.GetDestination(), req.GetUniqueWriterIdentity())
	if err != nil {
		return nil, err
	}
	made.WriterIdentity = writer
	made.CreateTime, made.UpdateTime = l.clock.stamp(), l.clock.stamp()
	return made, l.sinks.add(name, &sink{state: made, unique: req.GetUniqueWriterIdentity()})
}

func checkSink(v *violations, s *loggingpb.LogSink) {
	if !destinationPattern.MatchString(s.GetDestination()) {
		v.add("sink.destination", "%q is not a destination such as logging.googleapis.com/projects/P/locations/L/buckets/B or storage.googleapis.com/BUCKET", s.GetDestination())
	}
	if problem := checkFilter(s.GetFilter()); problem != "" {
		v.add("sink.filter", "Unparseable filter: %s", problem)
	}
	if n := len(s.GetDescription()); n > maxLogDescription {
		v.add("sink.description", "%d bytes are too many; the most is %d", n, maxLogDescription)
	}
	seen := map[string]bool{}
	for i, e := range s.GetExclusions() {
		field := fmt.Sprintf("sink.exclusions[%d]", i)
		if !sinkPattern.MatchString(e.GetName()) || seen[e.GetName()] {
			v.add(field+".name", "%q must be a name of its own", e.GetName())
		}
		seen[e.GetName()] = true
		if problem := checkFilter(e.GetFilter()); problem != "" || e.GetFilter() == "" {
			v.add(field+".filter", "A filter is required that can be read: %s", problem)
		}
	}
}

func (l *logging) UpdateSink(_ context.Context, req *loggingpb.UpdateSinkRequest) (*loggingpb.LogSink, error) {
	name := l.access.canonical(req.GetSinkName())
	changed, err := l.sinks.change(name, func(old *sink) (*sink, error) {
		paths := req.GetUpdateMask().GetPaths()
		if len(paths) == 0 {
			paths = []string{"destination", "filter", "include_children"}
		}
		if old.unique && !req.GetUniqueWriterIdentity() {
			return nil, status.Error(codes.InvalidArgument, "unique_writer_identity cannot be turned off again.")
		}
		next := proto.CloneOf(old.state)
		if err := copyFields(next, req.GetSink(), paths); err != nil {
			return nil, err
		}
		restoreOutputs(next, old.state)
		next.Name = old.state.GetName()
		v := violations{request: "UpdateSinkRequest"}
		checkSink(&v, next)
		if err := v.err(); err != nil {
			return nil, err
		}
		writer, err := l.writer(name, next.GetDestination(), req.GetUniqueWriterIdentity())
		if err != nil {
			return nil, err
		}
		next.WriterIdentity, next.UpdateTime = writer, l.clock.stamp()
		return &sink{state: next, unique: req.GetUniqueWriterIdentity()}, nil
	})
	if err != nil {
		return nil, err
	}
	return changed.state, nil
}

func (l *logging) DeleteSink(_ context.Context, req *loggingpb.DeleteSinkRequest) (*emptypb.Empty, error) {
	name := l.access.canonical(req.GetSinkName())
	return &emptypb.Empty{}, l.sinks.remove(name, func(*sink) error {
		if lastSegment(name) == "_Required" {
			return status.Errorf(codes.InvalidArgument, "%s cannot be deleted.", name)
		}
		return nil
	})
}

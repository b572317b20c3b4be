package apis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/berth-mcp/berth/internal/ascii"
)

// access decides who may call what: owners everything that an API does, others
// what the policy of the resource, or of what it is in, lets them.
type access struct {
	authenticate func(token string) (string, error)
	owners       []string // lower case
	projects     *projects
	usage        *serviceUsage
	accounts     *accounts
	policies     *policies
	logger       *slog.Logger
}

// caller is who sent a request, or why that is not known.
type caller struct {
	email string
	owner bool
	// quotaProject is who pays for the call, where the caller says so.
	quotaProject string
	err          error
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	who, ok := ctx.Value(callerKey{}).(caller)
	if !ok {
		return caller{err: errUnauthenticated}
	}
	return who
}

var errUnauthenticated = detailed(codes.Unauthenticated,
	"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. "+
		"See https://developers.google.com/identity/sign-in/web/devconsole-project.",
	&errdetails.ErrorInfo{Reason: "ACCESS_TOKEN_TYPE_UNSUPPORTED", Domain: "googleapis.com"})

// identify puts the caller into the request's context.
func (a *access) identify(r *http.Request) *http.Request {
	who := caller{quotaProject: r.Header.Get(quotaProjectHeader)}
	who.email, who.err = a.bearer(r.Header.Values("Authorization"))
	who.owner = a.isOwner(who.email)
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
}

func (a *access) bearer(authorization []string) (string, error) {
	if len(authorization) != 1 {
		return "", errUnauthenticated
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errUnauthenticated
	}
	email, err := a.authenticate(token)
	if err != nil {
		a.logger.Debug("access token refused", "reason", err)
		return "", errUnauthenticated
	}
	return ascii.Lower(email), nil
}

func (a *access) isOwner(email string) bool { return slices.Contains(a.owners, email) }

// intercept checks each call against its rule before it is served.
func (a *access) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	started := time.Now()
	who := callerOf(ctx)
	response, err := a.guarded(ctx, who, req, info, handle)
	a.logger.Debug("api call", "method", info.FullMethod, "caller", who.email,
		"code", status.Code(err).String(), "duration", time.Since(started))
	return response, err
}

func (a *access) guarded(ctx context.Context, who caller, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if who.err != nil {
		return nil, who.err
	}
	rule, ok := rules[info.FullMethod]
	if !ok {
		return nil, status.Errorf(codes.Unimplemented, "the local cloud does not have %s", info.FullMethod)
	}
	message, ok := req.(proto.Message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "%s takes %T, which is not a message", info.FullMethod, req)
	}
	if err := a.check(who, rule, textAt(message, rule.field)); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (a *access) check(who caller, r rule, resource string) error {
	if r.api != "" {
		on, err := a.projectOf(resource)
		if err != nil {
			return err
		}
		if err := a.usage.mustBeEnabled(on, r.api); err != nil {
			return err
		}
	}
	if r.permission == "" || who.owner || a.policies.permits(who.email, r.permission, a.canonical(resource)) {
		return nil
	}
	return denied(r.permission, resource)
}

func denied(permission, resource string) error {
	return detailed(codes.PermissionDenied,
		fmt.Sprintf("Permission '%s' denied on resource '%s' (or it may not exist).", permission, resource),
		&errdetails.ErrorInfo{
			Reason: "IAM_PERMISSION_DENIED", Domain: "iam.googleapis.com",
			Metadata: map[string]string{"permission": permission, "resource": resource},
		})
}

// projectOf finds the project that a resource's name begins with. Service
// accounts may leave it out, as projects/-.
func (a *access) projectOf(resource string) (project, error) {
	segments := strings.Split(resource, "/")
	if len(segments) < 2 || segments[0] != "projects" || segments[1] == "" {
		return project{}, status.Errorf(codes.InvalidArgument, "The name %q must begin with projects/PROJECT.", resource)
	}
	if segments[1] == "-" && len(segments) == 4 && segments[2] == "serviceAccounts" {
		return a.accounts.projectOf(segments[3])
	}
	found, ok := a.projects.find(segments[1])
	if !ok {
		return project{}, detailed(codes.PermissionDenied,
			fmt.Sprintf("Permission denied on resource project %s.", segments[1]),
			&errdetails.ErrorInfo{
				Reason: "CONSUMER_INVALID", Domain: "googleapis.com",
				Metadata: map[string]string{"consumer": "projects/" + segments[1]},
			})
	}
	return found, nil
}

// canonical is a resource's name as policies have it: with the id of its
// project, not the number, nor a dash in place of a service account's.
func (a *access) canonical(resource string) string {
	on, err := a.projectOf(resource)
	if err != nil {
		return resource // of no project, so in no policy either
	}
	segments := strings.Split(resource, "/")
	segments[1] = on.id
	return strings.Join(segments, "/")
}

// textAt reads the string at a path of fields such as "service.name".
func textAt(m proto.Message, path string) string {
	if path == "" {
		return ""
	}
	value := protoreflect.ValueOfMessage(m.ProtoReflect())
	for _, name := range strings.Split(path, ".") {
		message := value.Message()
		value = message.Get(message.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	return value.String()
}

// basicUsers are the user names that go with an access token in Basic
// authentication to the registry, as Docker's clients send it.
var basicUsers = []string{"oauth2accesstoken", "_token"}

var errNoCredentials = errors.New("no credentials")

// registryCaller is who calls the registry, by Basic or Bearer authentication.
func (a *access) registryCaller(r *http.Request) (string, error) {
	if len(r.Header.Values("Authorization")) == 0 {
		return "", errNoCredentials
	}
	user, token, basic := r.BasicAuth()
	if !basic {
		return a.bearer(r.Header.Values("Authorization"))
	}
	if !slices.Contains(basicUsers, user) {
		return "", fmt.Errorf("user %s: use one of %s with an access token as password", strconv.Quote(user), strings.Join(basicUsers, ", "))
	}
	return a.bearer([]string{"Bearer " + token})
}

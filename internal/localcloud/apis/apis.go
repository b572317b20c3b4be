package apis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"cloud.google.com/go/serviceusage/apiv1/serviceusagepb"
	"google.golang.org/grpc"

	"github.com/berth-mcp/berth/internal/ascii"
)

// Platform runs services. Its methods are called from many goroutines, but for
// one service never two at once.
type Platform interface {
	// Deploy makes svc serve from the revision of that short name and returns
	// the service's URL. It blocks until the revision is ready or has failed,
	// and gives up when ctx ends. A revision that already serves is kept: only
	// the service's own settings changed then. Images in svc are by digest, at
	// the local registry's address. An error that is a gRPC status keeps its
	// code in the operation; any other is FAILED_PRECONDITION.
	Deploy(ctx context.Context, svc *runpb.Service, revision string) (uri string, err error)
	// Remove stops the service projects/P/locations/L/services/S. One that is
	// not there is no error.
	Remove(ctx context.Context, service string) error
}

// ServiceAccounts is the directory that learns of service accounts, so that
// they can sign in and be granted roles, and that issues their tokens. One
// that it does not have gets none: that is an error.
type ServiceAccounts interface {
	AddServiceAccount(email string) error
	RemoveServiceAccount(email string) error
	IDToken(email, audience string) (string, error)
	IDTokenWithoutEmail(email, audience string) (string, error)
	// ShortLivedAccessToken is for a lifetime; 0 is the longest there is.
	ShortLivedAccessToken(email string, lifetime time.Duration) (token string, expires time.Time, err error)
}

// Options say what the APIs stand on. All but Logger and Now are required.
type Options struct {
	Platform        Platform
	ServiceAccounts ServiceAccounts
	// Groups is where groups and their members are.
	Groups Groups
	// Customer is the Google Workspace or Cloud Identity customer that the
	// owners belong to, as in customers/C0123abcd. Its domains are theirs.
	Customer string
	// RestrictSharing lets policies name the customer's own people alone, as the
	// organization policy of domain-restricted sharing does.
	RestrictSharing bool
	// BillingAccount pays for the projects, as in billingAccounts/012345-6789AB-CDEF01.
	// Empty means that nobody does.
	BillingAccount string
	// Keys are the encryption keys that there are, as
	// projects/P/locations/L/keyRings/R/cryptoKeys/K. None can be made here,
	// since none can ever be deleted.
	Keys []string
	// Authenticate tells whose access token it is.
	Authenticate func(accessToken string) (email string, err error)
	// MemberExists tells whether a policy member "user:E", "group:E" or
	// "serviceAccount:E" names somebody.
	MemberExists func(member string) bool
	// Allows tells whether email is among the members of a binding, as itself,
	// in a group, or by its domain.
	Allows func(members []string, email string) bool
	// Projects are the Google projects and their numbers.
	Projects map[string]int64
	// Owners hold roles/owner on every project. What others may do, policies say.
	Owners []string
	// RegistryHost is the HOST:PORT at which [APIs.Registry] is served. Images
	// there and at REGION-docker.pkg.dev are the same ones.
	RegistryHost string
	// Logger hears of every call and rollout. Nil means silence.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// APIs are the Google Cloud APIs of one local cloud.
type APIs struct {
	handler      http.Handler
	registry     *registry
	tasks        *tasks
	usage        *serviceUsage
	accounts     *accounts
	repositories *repositories
	services     *services
	secrets      *secrets
	storage      *storage
	management   *management
}

// New makes the APIs. They live until [APIs.Close].
func New(o Options) (*APIs, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	clock := clock(o.Now)

	projects := newProjects(o.Projects)
	// The accounts that Google makes with a project, and that a service may run as.
	for id := range o.Projects {
		on, _ := projects.find(id)
		if err := o.ServiceAccounts.AddServiceAccount(on.computeAccount()); err != nil {
			return nil, fmt.Errorf("adding the default account of project %s: %w", id, err)
		}
	}
	operations := newOperations()
	policies := newPolicies(
		func(member string) bool { return projects.agents.has(member) || o.MemberExists(member) },
		o.permits,
		func(members []string, email string) bool {
			return o.Allows(members, email) || projects.agents.among(members, email)
		},
	)
	tasks := newTasks()
	usage := newServiceUsage(projects, operations)
	accounts := newAccounts(projects, policies, o.ServiceAccounts)
	access := &access{
		authenticate: o.Authenticate, owners: lowerAll(o.Owners), projects: projects,
		usage: usage, accounts: accounts, policies: policies, logger: o.Logger,
	}
	keys := &keys{access: access, names: o.Keys}
	repositories := newRepositories(projects, operations, policies, keys, clock, o.Logger)
	secrets := newSecrets(projects, policies, keys, clock)
	storage, err := newStorage(access, projects, policies, keys, clock)
	if err != nil {
		return nil, err
	}
	registry := &registry{
		host: o.RegistryHost, access: access, projects: projects, usage: usage,
		repositories: repositories, policies: policies,
	}
	management := newManagement(o, access, keys, operations)
	services := &services{
		projects: projects, operations: operations, policies: policies, accounts: accounts, keys: keys,
		registry: registry, platform: o.Platform, tasks: tasks, clock: clock, logger: o.Logger,
		byName: map[string]*service{},
	}

	a := &APIs{
		registry: registry, tasks: tasks, usage: usage,
		accounts: accounts, repositories: repositories, services: services, secrets: secrets, storage: storage,
		management: management,
	}
	server := a.newServer(access, operations, o.ServiceAccounts)
	if a.handler, err = newHandler(server, access, management.restOnly()); err != nil {
		return nil, fmt.Errorf("mapping REST to gRPC: %w", err)
	}
	return a, nil
}

// newServer serves what has protos of Google's.
func (a *APIs) newServer(access *access, operations *operations, tokens ServiceAccounts) *grpc.Server {
	server := grpc.NewServer(
		grpc.UnaryInterceptor(access.intercept),
		grpc.MaxRecvMsgSize(maxMessageBytes),
	)
	runpb.RegisterServicesServer(server, a.services)
	runpb.RegisterRevisionsServer(server, &revisions{services: a.services})
	adminpb.RegisterIAMServer(server, a.accounts)
	credentialspb.RegisterIAMCredentialsServer(server, &credentials{accounts: a.accounts, tokens: tokens})
	artifactregistrypb.RegisterArtifactRegistryServer(server, a.repositories)
	sm.RegisterSecretManagerServiceServer(server, a.secrets)
	serviceusagepb.RegisterServiceUsageServer(server, a.usage)
	longrunningpb.RegisterOperationsServer(server, operations)
	a.management.register(server)
	return server
}

// permits tells whether the organization lets a policy name a member. Service
// accounts are all of projects here.
func (o Options) permits(member string) bool {
	if !o.RestrictSharing {
		return true
	}
	kind, name, _ := strings.Cut(member, ":")
	domain := name[strings.LastIndexByte(name, '@')+1:]
	return kind == "serviceAccount" || slices.Contains(domainsOf(o.Owners), ascii.Lower(domain))
}

func (o Options) check() error {
	var missing []error
	for name, given := range map[string]bool{
		"Platform": o.Platform != nil, "ServiceAccounts": o.ServiceAccounts != nil,
		"Authenticate": o.Authenticate != nil, "MemberExists": o.MemberExists != nil, "Allows": o.Allows != nil,
		"Groups": o.Groups != nil, "Customer": o.Customer != "",
		"Projects": len(o.Projects) > 0, "Owners": len(o.Owners) > 0, "RegistryHost": o.RegistryHost != "",
	} {
		if !given {
			missing = append(missing, fmt.Errorf("apis.Options.%s is required", name))
		}
	}
	return errors.Join(missing...)
}

// Handler serves gRPC and REST. Its [http.Server] must speak cleartext HTTP/2
// beside HTTP/1 (Protocols.SetUnencryptedHTTP2), as gRPC needs it.
func (a *APIs) Handler() http.Handler { return a.handler }

// Registry serves the images, at [Options.RegistryHost]. It needs an address of
// its own: its /v2/ is Cloud Run's too.
func (a *APIs) Registry() http.Handler { return a.registry }

// invokerRoles let their members call a service.
var invokerRoles = []string{"roles/run.invoker", "roles/run.servicesInvoker"}

// Storage serves Cloud Storage. It needs an address of its own: what its paths
// begin with may be the name of a bucket.
func (a *APIs) Storage() http.Handler { return a.storage }

// Invokers are the members of roles/run.invoker on the service
// projects/P/locations/L/services/S now, and those who hold it on the project.
// Grants under a condition do not count: the local cloud evaluates none.
func (a *APIs) Invokers(service string) []string {
	var members []string
	for _, on := range []string{service, projectName(service)} {
		for _, role := range invokerRoles {
			members = append(members, a.services.policies.members(on, role)...)
		}
	}
	return members
}

// EnabledServices are the names of the project's enabled APIs, sorted.
func (a *APIs) EnabledServices(project string) []string { return a.usage.enabledIn(project) }

// Inventory is the sorted full names of everything that exists besides enabled
// APIs: services, service accounts, repositories and the images in them, secrets
// and their versions, and what was made by the APIs that administer a project.
func (a *APIs) Inventory() []string {
	return slices.Sorted(slices.Values(slices.Concat(
		a.services.inventory(), a.accounts.inventory(), a.repositories.inventory(), a.secrets.inventory(), a.storage.inventory(),
		a.management.inventory(),
	)))
}

// Close stops the rollouts under way and waits until they have ended, or until
// ctx does.
func (a *APIs) Close(ctx context.Context) error { return a.tasks.close(ctx) }

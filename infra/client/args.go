package client

import (
	"encoding/json"
	"time"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ServerArgs is everything that one may say of a client's server. The zero value
// of a field that [Keys] has a default for is not that default: start with
// [Defaults], or read a stack's configuration with [Load]. A problem with a field
// is reported by the name of its key.
type ServerArgs struct {
	Client  string            // also names everything the client has: berth-CLIENT
	Project string            // Google Cloud project id
	Region  string            // like europe-west1
	Labels  map[string]string // besides client and managed-by

	Developers []string // IAM members
	Suspend    bool     // nobody may call, and no instance runs
	Viewer     bool     // the developers may look the service up
	Group      Group    // owned; its members are developers too

	Image        string       // prebuilt, by digest; empty means Build
	Build        image.Source // where the server's source is
	Repository   string       // existing: projects/P/locations/L/repositories/R; empty means one of the client's own
	KeepImages   int          // in the client's own repository
	RegistryHost string       // empty means REGION-docker.pkg.dev
	Pusher       image.Identity
	Port         int // that the container listens on
	Command      []string
	Args         []string

	CPU                  string // Kubernetes quantity
	Memory               string // Kubernetes quantity
	CPUIdle              bool   // no CPU between requests
	StartupCPUBoost      bool
	Concurrency          int
	MinInstances         int
	MaxInstances         int
	RequestTimeout       time.Duration
	SessionAffinity      bool
	ExecutionEnvironment string // gen1, gen2, or empty for Cloud Run's choice
	StartupProbe         Probe
	LivenessProbe        Probe
	Environment          map[string]string
	Secrets              map[string]Secret  // by the name of their variable
	Sidecars             map[string]Sidecar // by the name of their container

	Ingress             string // all, internal or internal-and-cloud-load-balancing
	Audiences           []string
	Network             Network
	KMSKey              string // projects/P/locations/L/keyRings/R/cryptoKeys/K
	BinaryAuthorization string // default, or projects/P/platforms/cloudRun/policies/N
	DeletionProtection  bool

	Data       Data
	Monitoring Monitoring

	// Transformations change what is declared, for what has no field here. Each
	// sees every resource of the server with the arguments of its type, such as
	// *cloudrunv2.ServiceArgs, and the policies see what it made of them. It must not
	// declare resources: they belong in the program, next to the server.
	Transformations []pulumi.ResourceTransformation
}

// Group is a Google group that the stack owns, with its members.
type Group struct {
	Email    string   `json:"email"`    // empty means that the stack owns none
	Customer string   `json:"customer"` // id of the Google Workspace or Cloud Identity account, like C01abc234
	Members  []string `json:"members"`  // addresses
}

// Probe is how Cloud Run asks a container if it is well.
type Probe struct {
	Type         string `json:"type"`    // http, grpc, tcp, or empty for no probe
	Path         string `json:"path"`    // for http; empty means /
	Service      string `json:"service"` // for grpc
	Port         int    `json:"port"`    // 0 means the container's
	InitialDelay int    `json:"initialDelay"`
	Period       int    `json:"period"`
	Timeout      int    `json:"timeout"`
	Failures     int    `json:"failures"`
}

// Secret is something that only the client's server may read. Either it exists in
// Secret Manager, then ID and Version name it; or the stack owns it, then Value is
// what it holds.
type Secret struct {
	ID      string // or projects/P/secrets/ID
	Version string // a number
	Value   pulumi.StringInput
	File    string // absolute path of a file that holds it; empty means a variable
}

// Sidecar is a container beside the server's, in the same instance: they reach
// each other on localhost.
type Sidecar struct {
	Image        string            `json:"image"` // by digest
	Command      []string          `json:"command"`
	Args         []string          `json:"args"`
	CPU          string            `json:"cpu"`
	Memory       string            `json:"memory"`
	Environment  map[string]string `json:"environment"`
	Secrets      []string          `json:"secrets"` // names in ServerArgs.Secrets
	StartupProbe Probe             `json:"startupProbe"`
	First        bool              `json:"first"` // the server starts once this one's startup probe holds
}

// probeDefaults are those of Cloud Run itself.
var probeDefaults = Probe{Period: 10, Timeout: 1, Failures: 3}

// UnmarshalJSON fills in what is left out.
func (s *Sidecar) UnmarshalJSON(content []byte) error {
	type plain Sidecar
	all := plain{CPU: "1", Memory: "512Mi", StartupProbe: probeDefaults}
	err := json.Unmarshal(content, &all)
	*s = Sidecar(all)
	return err
}

// Network is where the server's own traffic leaves to.
type Network struct {
	Network    string   `json:"network"`    // name of a VPC network; empty with Subnetwork means its network
	Subnetwork string   `json:"subnetwork"` // both empty means no VPC
	Tags       []string `json:"tags"`
	Egress     string   `json:"egress"` // private-ranges-only or all-traffic
}

func (n Network) used() bool { return n.Network != "" || n.Subnetwork != "" }

// Data is the client's own bucket.
type Data struct {
	Enabled        bool   `json:"enabled"`
	Bucket         string `json:"bucket"` // empty means PROJECT-berth-CLIENT
	Versioning     bool   `json:"versioning"`
	OldVersionDays int    `json:"oldVersionDays"`
	SoftDeleteDays int    `json:"softDeleteDays"`
	RetentionDays  int    `json:"retentionDays"`
	Protect        bool   `json:"protect"`
}

// Monitoring is what tells the operator that something is wrong.
type Monitoring struct {
	Enabled     bool     `json:"enabled"`
	Dashboard   bool     `json:"dashboard"`
	Channels    []string `json:"channels"` // projects/P/notificationChannels/N
	Errors      int      `json:"errors"`
	Refused     int      `json:"refused"`
	LatencyMS   int      `json:"latency"`
	Starts      int      `json:"startFailures"`
	AtMaxPeriod int      `json:"atMaximum"`
}

// name is the one name of everything the client has. It keeps within the
// shortest limit of all, the 30 characters of a service account id.
func (a *ServerArgs) name() string { return "berth-" + a.Client }

// registry is the host that a built image is pushed to.
func (a *ServerArgs) registry() string {
	if a.RegistryHost != "" {
		return a.RegistryHost
	}
	location := a.Region
	if r := existingRepository.FindStringSubmatch(a.Repository); r != nil {
		location = r[2]
	}
	return location + "-docker.pkg.dev"
}

// labels are those of every resource that takes any.
func (a *ServerArgs) labels() pulumi.StringMap {
	all := pulumi.StringMap{"client": pulumi.String(a.Client), "managed-by": pulumi.String("berth")}
	for key, value := range a.Labels {
		all[key] = pulumi.String(value)
	}
	return all
}

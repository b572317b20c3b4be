package client

import (
	"os"
	"time"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/berth-mcp/berth/infra/setting"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

// Config is a client stack's configuration: complete, validated and with the
// defaults filled in.
type Config struct {
	Client     string   // also names everything the client has: berth-CLIENT
	Project    string   // Google Cloud project id
	Region     string   // like europe-west1
	Developers []string // IAM members, lower-cased, sorted, without duplicates

	Image        string       // prebuilt, by digest; empty means Build
	Build        image.Source // where the server's source is
	RegistryHost string       // like europe-west1-docker.pkg.dev
	Pusher       image.Identity

	CPU                string // Kubernetes quantity
	Memory             string // Kubernetes quantity
	Concurrency        int
	MinInstances       int
	MaxInstances       int
	RequestTimeout     time.Duration
	DeletionProtection bool
}

// Load reads the stack's configuration. Every problem is reported, each naming
// the key, the value and the remedy.
func Load(ctx *pulumi.Context) (Config, error) {
	gcp := config.New(ctx, "gcp")
	r := setting.NewReader(ctx, Keys)
	developers := r.List("developers")
	c := Config{
		Client:     r.Text("client"),
		Project:    gcp.Get("project"),
		Region:     gcp.Get("region"),
		Developers: canonicalMembers(developers),

		Image: r.Text("image"),
		Build: image.Source{
			Dir:       ctx.RootDirectory(),
			Package:   r.Text("build"),
			Platforms: r.List("platforms"),
		},
		RegistryHost: r.Text("registryHost"),
		Pusher: image.Identity{
			AccessToken: providerSetting(ctx, "accessToken"),
			Credentials: providerSetting(ctx, "credentials"),
			Impersonate: providerSetting(ctx, "impersonateServiceAccount"),
		},

		CPU:                r.Text("cpu"),
		Memory:             r.Text("memory"),
		Concurrency:        r.Integer("concurrency"),
		MinInstances:       r.Integer("minInstances"),
		MaxInstances:       r.Integer("maxInstances"),
		RequestTimeout:     time.Duration(r.Integer("requestTimeout")) * time.Second,
		DeletionProtection: r.Boolean("deletionProtection"),
	}
	if c.Client == "" {
		c.Client = ctx.Stack()
	}
	if c.RegistryHost == "" {
		c.RegistryHost = c.Region + "-docker.pkg.dev"
	}
	r.Add(c.validate()...)
	r.Add(memberProblems(developers)...)
	if err := r.Err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// providerVars are the environment variables that the gcp provider reads where
// the stack does not say. See its documentation, "Configuration".
var providerVars = map[string][]string{
	"accessToken":               {"GOOGLE_OAUTH_ACCESS_TOKEN"},
	"credentials":               {"GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON"},
	"impersonateServiceAccount": {"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"},
}

// providerSetting gives a setting of the gcp provider as the provider sees it,
// so that the image is pushed by who deploys it. A value may be secret: it goes
// to the registry's sign-in and nowhere else.
func providerSetting(ctx *pulumi.Context, key string) string {
	if value, ok := ctx.GetConfig("gcp:" + key); ok {
		return value
	}
	for _, name := range providerVars[key] {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// name is the one name of everything the client has. It keeps within the
// shortest limit of all, the 30 characters of a service account id.
func (c Config) name() string { return "berth-" + c.Client }

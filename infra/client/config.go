package client

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/berth-mcp/berth/infra/image"
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
	r := reader{berth: config.New(ctx, "berth")}
	developers := r.list("developers")
	c := Config{
		Client:     r.text("client"),
		Project:    gcp.Get("project"),
		Region:     gcp.Get("region"),
		Developers: canonicalMembers(developers),

		Image: r.text("image"),
		Build: image.Source{
			Dir:       ctx.RootDirectory(),
			Package:   r.text("build"),
			Platforms: r.list("platforms"),
		},
		RegistryHost: r.text("registryHost"),
		Pusher: image.Identity{
			AccessToken: providerSetting(ctx, "accessToken"),
			Credentials: providerSetting(ctx, "credentials"),
			Impersonate: providerSetting(ctx, "impersonateServiceAccount"),
		},

		CPU:                r.text("cpu"),
		Memory:             r.text("memory"),
		Concurrency:        r.integer("concurrency"),
		MinInstances:       r.integer("minInstances"),
		MaxInstances:       r.integer("maxInstances"),
		RequestTimeout:     time.Duration(r.integer("requestTimeout")) * time.Second,
		DeletionProtection: r.boolean("deletionProtection"),
	}
	if c.Client == "" {
		c.Client = ctx.Stack()
	}
	if c.RegistryHost == "" {
		c.RegistryHost = c.Region + "-docker.pkg.dev"
	}
	if err := errors.Join(slices.Concat(r.problems, c.validate(), memberProblems(developers))...); err != nil {
		return Config{}, fmt.Errorf("the configuration of stack %s has problems, and nothing was changed:\n%w", ctx.Stack(), err)
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

// reader reads the namespace "berth", with the defaults of [Keys], and collects
// what is not of its type.
type reader struct {
	berth    *config.Config
	problems []error
}

func (r *reader) text(key string) string   { return read[string](r, key) }
func (r *reader) integer(key string) int   { return read[int](r, key) }
func (r *reader) boolean(key string) bool  { return read[bool](r, key) }
func (r *reader) list(key string) []string { return read[[]string](r, key) }

func read[T any](r *reader, key string) T {
	byDefault := defaultOf(key).(T)
	raw := r.berth.Get(key)
	if raw == "" {
		return byDefault
	}
	var value T // a new one: decoding into the default would change it for all
	if text, ok := any(&value).(*string); ok {
		*text = raw
		return value
	}
	if err := r.berth.TryObject(key, &value); err != nil {
		r.problems = append(r.problems, problem(key, raw, "is not %s", typeNames[fmt.Sprintf("%T", value)]))
		return byDefault
	}
	return value
}

var typeNames = map[string]string{
	"int":      "a whole number",
	"bool":     "true or false",
	"[]string": "a list; write one entry a line, each after a hyphen",
}

func defaultOf(key string) any {
	for _, k := range Keys {
		if k.Name == key {
			return k.Default
		}
	}
	panic("client: no such key in Keys: " + key)
}

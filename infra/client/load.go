package client

import (
	"maps"
	"slices"
	"time"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/berth-mcp/berth/infra/setting"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

// Load reads a client stack's configuration. Every problem is reported, each
// naming the key, the value and the remedy.
func Load(ctx *pulumi.Context) (*ServerArgs, error) {
	r := setting.NewReader(ctx, Keys)
	a := read(r)
	gcp := config.New(ctx, "gcp")
	a.Project, a.Region = gcp.Get("project"), gcp.Get("region")
	a.Build.Dir = ctx.RootDirectory()
	a.Pusher = image.ProviderIdentity(func(key string) (string, bool) { return ctx.GetConfig("gcp:" + key) })
	if a.Client == "" {
		a.Client = ctx.Stack()
	}
	r.Add(a.problems()...)
	r.Add(openSecrets(r, a)...)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return a, nil
}

// Defaults are the settings of a stack that says nothing: those of [Keys]. Client,
// Project, Region and Developers are still to be given.
func Defaults() *ServerArgs { return read(setting.Defaults(Keys)) }

func read(r *setting.Reader) *ServerArgs {
	return &ServerArgs{
		Client: r.Text("client"),
		Labels: setting.Object[map[string]string](r, "labels"),

		Developers: r.List("developers"),
		Suspend:    r.Boolean("suspend"),
		Viewer:     r.Boolean("viewer"),
		Group:      setting.Object[Group](r, "group"),

		Image: r.Text("image"),
		Build: image.Source{
			Package:   r.Text("build"),
			Base:      r.Text("base"),
			Platforms: r.List("platforms"),
		},
		Repository:   r.Text("repository"),
		KeepImages:   r.Integer("keepImages"),
		RegistryHost: r.Text("registryHost"),
		Port:         r.Integer("port"),
		Command:      r.List("command"),
		Args:         r.List("args"),

		CPU:                  r.Text("cpu"),
		Memory:               r.Text("memory"),
		CPUIdle:              r.Boolean("cpuIdle"),
		StartupCPUBoost:      r.Boolean("startupCpuBoost"),
		Concurrency:          r.Integer("concurrency"),
		MinInstances:         r.Integer("minInstances"),
		MaxInstances:         r.Integer("maxInstances"),
		RequestTimeout:       time.Duration(r.Integer("requestTimeout")) * time.Second,
		SessionAffinity:      r.Boolean("sessionAffinity"),
		ExecutionEnvironment: r.Text("executionEnvironment"),
		StartupProbe:         setting.Object[Probe](r, "startupProbe"),
		LivenessProbe:        setting.Object[Probe](r, "livenessProbe"),
		Environment:          setting.Object[map[string]string](r, "environment"),
		Secrets:              readSecrets(r),
		Sidecars:             setting.Object[map[string]Sidecar](r, "sidecars"),

		Ingress:             r.Text("ingress"),
		Audiences:           r.List("audiences"),
		Network:             setting.Object[Network](r, "network"),
		KMSKey:              r.Text("kmsKey"),
		BinaryAuthorization: r.Text("binaryAuthorization"),
		DeletionProtection:  r.Boolean("deletionProtection"),

		Data:       setting.Object[Data](r, "data"),
		Monitoring: setting.Object[Monitoring](r, "monitoring"),
	}
}

// secretSetting is a [Secret] as a stack's file has it.
type secretSetting struct {
	Secret  string `json:"secret"`
	Version string `json:"version"`
	Value   string `json:"value"`
	File    string `json:"file"`
}

func readSecrets(r *setting.Reader) map[string]Secret {
	secrets := map[string]Secret{}
	for name, s := range setting.Object[map[string]secretSetting](r, "secrets") {
		secret := Secret{ID: s.Secret, Version: s.Version, File: s.File}
		if s.Value != "" {
			secret.Value = pulumi.ToSecret(pulumi.String(s.Value)).(pulumi.StringOutput)
		}
		secrets[name] = secret
	}
	return secrets
}

// openSecrets reports values that stand in the stack's file for everybody to read.
func openSecrets(r *setting.Reader, a *ServerArgs) []error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(a.Secrets)) {
		if a.Secrets[name].Value != nil && (!r.Secret("secrets") || r.InTheClear("secrets", name, "value")) {
			problems = append(problems, problem("secrets."+name+".value", "[secret]",
				"is in the stack's file in plain text; change it, for it is known now, and set it with: pulumi config set --secret --path 'berth:secrets.%s.value'", name))
		}
	}
	return problems
}

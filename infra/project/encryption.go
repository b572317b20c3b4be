package project

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/kms"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// agents are the services that may encrypt with a key, by their names in the
// configuration and in the APIs' names. Each acts in a project with an account of
// Google's, its agent: the project has one of each, for all clients in it.
var agents = []string{"artifactregistry", "run", "secretmanager", "storage"}

// letUseKeys lets Google's services in this project encrypt with the keys that
// clients' stacks may name. The keys are somebody else's: they must outlive
// whatever was encrypted with them.
func letUseKeys(ctx *pulumi.Context, cfg Config, apis apiSet) error {
	members, err := newAgents(ctx, cfg, apis)
	if err != nil {
		return err
	}
	for _, key := range cfg.EncryptionKeys {
		unique := strings.Join(cryptoKey.FindStringSubmatch(key.Key)[1:], "-")
		for _, name := range key.Agents {
			_, err := kms.NewCryptoKeyIAMMember(ctx, "key-"+unique+"-"+name, &kms.CryptoKeyIAMMemberArgs{
				CryptoKeyId: pulumi.String(key.Key),
				Role:        pulumi.String("roles/cloudkms.cryptoKeyEncrypterDecrypter"),
				Member:      members[name],
			}, apis.needs("cloudkms.googleapis.com"))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// newAgents gives the agents that use keys, as IAM members. In a new project Google
// makes some of them only when their service first needs them, and lets nobody grant
// anything to an account that is not there yet. To ask for them makes them. They stay
// when the stack goes.
func newAgents(ctx *pulumi.Context, cfg Config, apis apiSet) (map[string]pulumi.StringOutput, error) {
	members := map[string]pulumi.StringOutput{}
	for _, name := range cfg.keyUsers() {
		needs := apis.needs(apiOf(name))
		if name == "storage" { // which does not have them made by Service Usage
			members[name] = storage.GetProjectServiceAccountOutput(ctx, storage.GetProjectServiceAccountOutputArgs{
				Project: pulumi.String(cfg.Project),
			}, needs).Member()
			continue
		}
		identity, err := projects.NewServiceIdentity(ctx, "agent-"+name, &projects.ServiceIdentityArgs{
			Project: pulumi.String(cfg.Project),
			Service: pulumi.String(apiOf(name)),
		}, needs)
		if err != nil {
			return nil, err
		}
		members[name] = identity.Member
	}
	return members, nil
}

// keyUsers are those of the agents that the configuration lets use any key, sorted.
func (c Config) keyUsers() []string {
	var all []string
	for _, key := range c.EncryptionKeys {
		all = append(all, key.Agents...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func apiOf(agent string) string { return agent + ".googleapis.com" }

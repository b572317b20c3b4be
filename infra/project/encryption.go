package project

import (
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/kms"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// agent is the account with which a Google service acts in a project: the part of
// its address after the project's number. Each project has one of each, for all
// clients in it.
type agent string

// agents by the name that the configuration uses, after
// https://cloud.google.com/iam/docs/service-agents.
var agents = map[string]agent{
	"artifactregistry": "@gcp-sa-artifactregistry.iam.gserviceaccount.com",
	"run":              "@serverless-robot-prod.iam.gserviceaccount.com",
	"secretmanager":    "@gcp-sa-secretmanager.iam.gserviceaccount.com",
	"storage":          "@gs-project-accounts.iam.gserviceaccount.com",
}

func (a agent) member(projectNumber pulumi.StringOutput) pulumi.StringOutput {
	return pulumi.Sprintf("serviceAccount:service-%s%s", projectNumber, string(a))
}

// letUseKeys lets Google's services in this project encrypt with the keys that
// clients' stacks may name. The keys are somebody else's: they must outlive
// whatever was encrypted with them.
func letUseKeys(ctx *pulumi.Context, cfg Config, apis apiSet) error {
	for _, key := range cfg.EncryptionKeys {
		unique := strings.Join(cryptoKey.FindStringSubmatch(key.Key)[1:], "-")
		for _, name := range key.Agents {
			_, err := kms.NewCryptoKeyIAMMember(ctx, "key-"+unique+"-"+name, &kms.CryptoKeyIAMMemberArgs{
				CryptoKeyId: pulumi.String(key.Key),
				Role:        pulumi.String("roles/cloudkms.cryptoKeyEncrypterDecrypter"),
				Member:      agents[name].member(numberOf(ctx, cfg.Project, apis)),
			}, apis.needs("cloudkms.googleapis.com"))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

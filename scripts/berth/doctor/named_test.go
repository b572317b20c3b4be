package doctor

import (
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

const (
	sharedRepository = "projects/" + project + "/locations/europe-west1/repositories/servers"
	sharedSecret     = "projects/" + project + "/secrets/db"
	sharedKey        = "projects/" + project + "/locations/europe-west1/keyRings/berth/cryptoKeys/clients"
)

// startShared starts a cloud with things that stacks may name: a repository, a secret
// with a version that is enabled and one that is not, a key.
func startShared(t *testing.T) (cloud *localcloud.Cloud, change func(path, body string)) {
	t.Helper()
	cloud = startCloud(t, func(o *localcloud.Options) { o.Keys = []string{sharedKey} })
	enable(t, cloud, append(everyAPI, "secretmanager", "cloudkms")...)
	owner := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: cloud.ProviderConfig()["gcp:accessToken"]}))
	base := cloud.ProviderConfig()["gcp:iamCustomEndpoint"]
	change = func(path, body string) { postText(t, owner, base+"v1/"+path, body) }
	change("projects/"+project+"/locations/europe-west1/repositories?repository_id=servers", `{"format":"DOCKER"}`)
	change("projects/"+project+"/secrets?secretId=db", `{"replication":{"automatic":{}}}`)
	for range 2 {
		change(sharedSecret+":addVersion", `{"payload":{"data":"aHVudGVyMg=="}}`)
	}
	change(sharedSecret+"/versions/2:disable", `{}`)
	return cloud, change
}

func TestWhatAStackNamesIsLookedAt(t *testing.T) {
	secret := func(name, version string) map[string]any {
		return map[string]any{"berth:secrets": map[string]any{"DB": map[string]any{"secret": name, "version": version}}}
	}
	keys := map[string]any{"berth:kind": "project", "berth:encryptionKeys": []any{map[string]any{"key": sharedKey, "agents": []any{"run"}}}}
	for name, test := range map[string]struct {
		stack       map[string]any
		check, says string
		mend        string
		grant       string // what is granted then, on what is named
		role        string
	}{
		"a repository that others own": {map[string]any{"berth:repository": sharedRepository}, "repository", "uploadArtifacts",
			"gcloud artifacts repositories add-iam-policy-binding servers --location=europe-west1 --project=acme-prod --member=user:YOUR-ADDRESS --role=roles/artifactregistry.writer",
			sharedRepository, "roles/artifactregistry.writer"},
		"a secret by its id": {secret("db", "1"), "secret", "secretmanager.secrets.setIamPolicy",
			"gcloud secrets add-iam-policy-binding db --project=acme-prod --member=user:YOUR-ADDRESS --role=roles/secretmanager.admin",
			sharedSecret, "roles/secretmanager.admin"},
		"a key": {keys, "key", "cloudkms.cryptoKeys.setIamPolicy",
			"gcloud kms keys add-iam-policy-binding clients --keyring=berth --location=europe-west1 --project=acme-prod --member=user:YOUR-ADDRESS --role=roles/cloudkms.admin",
			sharedKey, "roles/cloudkms.admin"},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t)
			cloud, change := startShared(t)
			grant(t, cloud, "user:"+deployer, "roles/browser")
			found := about(t, look(t, acme(t, cloud, deployer, test.stack)), test.check)
			assert.Equal(t, wrong, found.Status)
			assert.Contains(t, found.Says, test.says)
			assert.Contains(t, found.Mend, test.mend)

			change(test.grant+":setIamPolicy", `{"policy":{"bindings":[{"role":"`+test.role+`","members":["user:`+deployer+`"]}]}}`)
			assert.Equal(t, ok, about(t, look(t, acme(t, cloud, deployer, test.stack)), test.check).Status, "a role on it alone is enough")
		})
	}
	for name, test := range map[string]struct {
		stack map[string]any
		says  string
		mend  string
	}{
		"a repository that is not there":   {map[string]any{"berth:repository": strings.Replace(sharedRepository, "servers", "server", 1)}, "there is no projects/acme-prod/locations/europe-west1/repositories/server", "gcloud artifacts repositories list --location=europe-west1 --project=acme-prod"},
		"a secret that is not there":       {secret("bd", "1"), "there is no projects/acme-prod/secrets/bd", "gcloud secrets list --project=acme-prod"},
		"a version that is not there":      {secret(sharedSecret, "3"), "has no version 3", "gcloud secrets versions list db --project=acme-prod"},
		"a version that has been disabled": {secret(sharedSecret, "2"), "is disabled", "gcloud secrets versions enable 2 --secret=db --project=acme-prod"},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t)
			cloud, _ := startShared(t)
			var says, mend string
			for _, f := range look(t, acme(t, cloud, operator, test.stack)) {
				if f.Status == wrong {
					says, mend = says+f.Says, mend+strings.Join(f.Mend, "\n")
				}
			}
			require.Contains(t, says, test.says)
			assert.Contains(t, mend, test.mend)
		})
	}
}

func TestAStackThatOwnsNoSecretNeedsNoRightToMakeAny(t *testing.T) {
	machine(t)
	cloud, _ := startShared(t)
	grant(t, cloud, "user:"+deployer, "roles/browser", "roles/serviceusage.serviceUsageAdmin", "roles/iam.serviceAccountAdmin",
		"roles/iam.serviceAccountUser", "roles/run.admin", "roles/artifactregistry.admin")
	found := look(t, acme(t, cloud, deployer, map[string]any{"berth:secrets": map[string]any{"DB": map[string]any{"secret": "db", "version": "1"}}}))
	assert.Equal(t, ok, about(t, found, "permissions").Status)
	assert.Equal(t, wrong, about(t, found, "secret").Status)
}

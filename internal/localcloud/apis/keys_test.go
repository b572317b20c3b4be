package apis_test

import (
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

func TestEveryServiceEncryptsAsItsOwnAgent(t *testing.T) {
	elsewhere := strings.Replace(key, region, "europe-west4", 1)
	uniform := func(name, key string) *storage.BucketAttrs {
		return &storage.BucketAttrs{
			Location: region, UniformBucketLevelAccess: storage.UniformBucketLevelAccess{Enabled: true},
			PublicAccessPrevention: storage.PublicAccessPreventionEnforced, Encryption: &storage.BucketEncryption{DefaultKMSKeyName: key},
		}
	}
	for name, service := range map[string]struct {
		agent   string
		encrypt func(t *testing.T, c *cloud, key string) (says string)
	}{
		"Artifact Registry": {"gcp-sa-artifactregistry", func(t *testing.T, c *cloud, key string) string {
			return c.call(t, http.MethodPost, "/v1/"+parent+"/repositories?repository_id=images", `{"format":"DOCKER","kmsKeyName":"`+key+`"}`).text
		}},
		"Secret Manager": {"gcp-sa-secretmanager", func(t *testing.T, c *cloud, key string) string {
			id := strings.NewReplacer("/", "-").Replace(key)
			c.call(t, http.MethodPost, "/v1/projects/"+projectID+"/secrets?secretId="+id,
				`{"replication":{"userManaged":{"replicas":[{"location":"`+region+`","customerManagedEncryption":{"kmsKeyName":"`+key+`"}}]}}}`)
			return c.call(t, http.MethodPost, "/v1/projects/"+projectID+"/secrets/"+id+":addVersion", `{"payload":{"data":"aHVudGVyMg=="}}`).text
		}},
		"Cloud Storage": {"gs-project-accounts", func(t *testing.T, c *cloud, key string) string {
			bucket := c.storageAs(t, "owner-token").Bucket("acme-data")
			if err := bucket.Create(t.Context(), projectID, uniform("acme-data", key)); err != nil {
				return err.Error()
			}
			return ""
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, func(o *apis.Options) { o.Keys = []string{key, elsewhere} })
			c.enable(t, "artifactregistry.googleapis.com", "secretmanager.googleapis.com", "cloudkms.googleapis.com")
			for _, api := range []string{"artifactregistry", "secretmanager"} {
				c.must(t, http.MethodPost, "/v1beta1/projects/"+projectID+"/services/"+api+".googleapis.com:generateServiceIdentity", `{}`)
			}
			_, err := c.storageAs(t, "owner-token").ServiceAccount(t.Context(), projectID)
			require.NoError(t, err)
			email := "service-123456789012@" + service.agent + ".iam.gserviceaccount.com"

			c.grant(t, "/v1/"+key, "roles/cloudkms.cryptoKeyEncrypterDecrypter", "serviceAccount:"+agent)
			assert.Contains(t, service.encrypt(t, c, key), name+" Service Agent "+email+" must have permission 'cloudkms.cryptoKeyVersions.useToEncrypt'", "Cloud Run's grant is its own")
			for _, key := range []string{key, elsewhere} {
				c.grant(t, "/v1/"+key, "roles/cloudkms.cryptoKeyEncrypterDecrypter", "serviceAccount:"+email)
			}
			assert.Contains(t, service.encrypt(t, c, elsewhere), "must be in the same location")
			assert.NotContains(t, strings.ToLower(service.encrypt(t, c, key)), "error")
		})
	}
}

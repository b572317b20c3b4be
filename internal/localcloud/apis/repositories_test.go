package apis_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const repositoryPath = "/v1/" + parent + "/repositories/images"

func TestAnOfficialClientKeepsARepository(t *testing.T) {
	clients := map[string]func(context.Context, *cloud) (*artifactregistry.Client, error){
		"over gRPC": func(ctx context.Context, c *cloud) (*artifactregistry.Client, error) {
			return artifactregistry.NewClient(ctx, c.grpcOptions("owner-token")...)
		},
		"over REST": func(ctx context.Context, c *cloud) (*artifactregistry.Client, error) {
			return artifactregistry.NewRESTClient(ctx, c.restOptions("owner-token")...)
		},
	}
	for title, connect := range clients {
		t.Run(title, func(t *testing.T) {
			ctx := t.Context()
			c := newCloud(t)
			c.enable(t, "artifactregistry.googleapis.com")
			client, err := connect(ctx, c)
			require.NoError(t, err)
			defer client.Close()

			create, err := client.CreateRepository(ctx, &artifactregistrypb.CreateRepositoryRequest{
				Parent: parent, RepositoryId: "images",
				Repository: &artifactregistrypb.Repository{Format: artifactregistrypb.Repository_DOCKER, Description: "d", Labels: map[string]string{"client": "acme"}},
			})
			require.NoError(t, err)
			created, err := create.Wait(ctx)
			require.NoError(t, err)
			assert.Equal(t, parent+"/repositories/images", created.GetName())
			assert.Equal(t, "europe-west1-docker.pkg.dev/acme-dev/images", created.GetRegistryUri())
			assert.Equal(t, artifactregistrypb.Repository_STANDARD_REPOSITORY, created.GetMode())

			updated, err := client.UpdateRepository(ctx, &artifactregistrypb.UpdateRepositoryRequest{
				Repository: &artifactregistrypb.Repository{Name: created.GetName(), Description: "e"},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
			})
			require.NoError(t, err)
			assert.Equal(t, "e", updated.GetDescription())
			assert.Equal(t, map[string]string{"client": "acme"}, updated.GetLabels(), "what the mask does not name is kept")
			assert.Equal(t, created.GetCreateTime().AsTime(), updated.GetCreateTime().AsTime())

			listed, err := client.ListRepositories(ctx, &artifactregistrypb.ListRepositoriesRequest{Parent: parent}).Next()
			require.NoError(t, err)
			assert.Equal(t, "e", listed.GetDescription())

			del, err := client.DeleteRepository(ctx, &artifactregistrypb.DeleteRepositoryRequest{Name: created.GetName()})
			require.NoError(t, err)
			require.NoError(t, del.Wait(ctx))
			_, err = client.GetRepository(ctx, &artifactregistrypb.GetRepositoryRequest{Name: created.GetName()})
			assert.Error(t, err)
			assert.Empty(t, c.apis.Inventory())
		})
	}
}

func TestARepositoryThatCannotBeIsRefused(t *testing.T) {
	c := newCloud(t)
	c.enable(t, "artifactregistry.googleapis.com")
	c.createRepository(t, "images")
	at := "/v1/" + parent + "/repositories?repositoryId="
	for _, tt := range []struct {
		title, method, path, body string
		code                      int
		message                   string
	}{
		{"an id with capitals", http.MethodPost, at + "Images", `{"format":"DOCKER"}`, 400, "1 to 63 characters"},
		{"no format", http.MethodPost, at + "other", `{}`, 400, "A format is required"},
		{"a format that is not here", http.MethodPost, at + "other", `{"format":"NPM"}`, 501, "format DOCKER, not NPM"},
		{"a mode that is not here", http.MethodPost, at + "other", `{"format":"DOCKER","mode":"VIRTUAL_REPOSITORY"}`, 501, "not VIRTUAL_REPOSITORY"},
		{"tags that cannot move", http.MethodPost, at + "other", `{"format":"DOCKER","dockerConfig":{"immutableTags":true}}`, 501, "immutable_tags"},
		{"a label that is none", http.MethodPost, at + "other", `{"format":"DOCKER","labels":{"A":"b"}}`, 400, `Label key "A"`},
		{"one that is there", http.MethodPost, at + "images", `{"format":"DOCKER"}`, 409, "the repository already exists"},
		{"one of its name elsewhere", http.MethodPost, strings.Replace(at, region, "us", 1) + "images", `{"format":"DOCKER"}`, 400, "cannot both exist"},
		{"a location that is none", http.MethodPost, strings.Replace(at, region, "mars", 1) + "images", `{"format":"DOCKER"}`, 400, `Location "mars"`},
		{"another format", http.MethodPatch, repositoryPath + "?updateMask=format", `{"format":"NPM"}`, 400, "cannot be changed"},
		{"a field that is none", http.MethodPatch, repositoryPath, `{"colour":"red"}`, 400, `Unknown name "colour" at 'repository'`},
	} {
		t.Run(tt.title, func(t *testing.T) {
			a := c.call(t, tt.method, tt.path, tt.body)
			_, message := a.problem()
			assert.Equal(t, tt.code, a.code, a.text)
			assert.Contains(t, message, tt.message)
		})
	}
}

func TestImagesGoThroughTheRegistry(t *testing.T) {
	c, image := newReadyCloud(t)
	ref, err := name.ParseReference(image)
	require.NoError(t, err)
	for title, auth := range map[string]authn.Authenticator{
		"an owner, by Basic":             &authn.Basic{Username: "oauth2accesstoken", Password: "owner-token"},
		"an owner, by Bearer":            &authn.Bearer{Token: "owner-token"},
		"Cloud Run's agent":              &authn.Basic{Username: "oauth2accesstoken", Password: "agent-token"},
		"an owner, as Google's keychain": &authn.Basic{Username: "_token", Password: "owner-token"},
	} {
		t.Run(title, func(t *testing.T) {
			pulled, err := remote.Image(ref, remote.WithAuth(auth))
			require.NoError(t, err)
			layers, err := pulled.Layers()
			require.NoError(t, err)
			content, err := layers[0].Compressed()
			require.NoError(t, err)
			require.NoError(t, content.Close())
		})
	}
	assert.Equal(t, []string{
		"//artifactregistry.googleapis.com/" + parent + "/repositories/images",
		"//artifactregistry.googleapis.com/" + parent + "/repositories/images/dockerImages/server",
	}, c.apis.Inventory())
}

func TestTheRegistryRefuses(t *testing.T) {
	c, image := newReadyCloud(t)
	fresh, err := random.Image(64, 1)
	require.NoError(t, err)
	there, err := name.ParseReference(image)
	require.NoError(t, err)
	at := func(path string) name.Tag {
		tag, err := name.NewTag(c.registry + "/" + path + ":new")
		require.NoError(t, err)
		return tag
	}
	const toHEAD = transport.ErrorCode("") // an answer without a body
	pull := func(auth remote.Option) error { _, err := remote.Get(there, auth); return err }
	for _, tt := range []struct {
		title string
		err   error
		http  int
		code  transport.ErrorCode
	}{
		{"a pull by nobody", pull(remote.WithAuth(authn.Anonymous)), 401, transport.UnauthorizedErrorCode},
		{"a pull by a forger", pull(basic("forged")), 401, transport.UnauthorizedErrorCode},
		{"a pull by a user of another kind", pull(remote.WithAuth(&authn.Basic{Username: "olivia", Password: "owner-token"})), 401, transport.UnauthorizedErrorCode},
		{"a pull by a stranger", pull(basic("stranger-token")), 403, transport.DeniedErrorCode},
		{"a push by a stranger", remote.Write(at("acme-dev/images/server"), fresh, basic("stranger-token")), 403, toHEAD},
		{"a push by Cloud Run's agent", remote.Write(at("acme-dev/images/server"), fresh, basic("agent-token")), 403, transport.DeniedErrorCode},
		{"a push to a repository that is not there", remote.Write(at("acme-dev/nowhere/server"), fresh, basic("owner-token")), 404, transport.NameUnknownErrorCode},
		{"a push to a project that is not there", remote.Write(at("nowhere/images/server"), fresh, basic("owner-token")), 404, transport.NameUnknownErrorCode},
		{"a push to where the API is off", remote.Write(at("other-dev/images/server"), fresh, basic("owner-token")), 404, transport.NameUnknownErrorCode},
		{"a push without an image's name", remote.Write(at("acme-dev/images"), fresh, basic("owner-token")), 404, transport.NameUnknownErrorCode},
	} {
		t.Run(tt.title, func(t *testing.T) {
			var problem *transport.Error
			require.ErrorAs(t, tt.err, &problem)
			assert.Equal(t, tt.http, problem.StatusCode)
			if tt.code != toHEAD {
				require.NotEmpty(t, problem.Errors)
				assert.Equal(t, tt.code, problem.Errors[0].Code)
			}
			assert.NotContains(t, problem.Error(), "-token")
		})
	}
}

func TestARoleOnTheRepositoryLetsOthersIn(t *testing.T) {
	c, image := newReadyCloud(t)
	ref, err := name.ParseReference(image)
	require.NoError(t, err)
	grant := func(role string) {
		c.must(t, http.MethodPost, repositoryPath+":setIamPolicy", `{"policy":{"bindings":[{"role":"`+role+`","members":["user:sam@example.com"]}]}}`)
	}
	grant("roles/artifactregistry.reader")
	_, err = remote.Get(ref, basic("stranger-token"))
	require.NoError(t, err)
	fresh, err := random.Image(64, 1)
	require.NoError(t, err)
	tag := ref.Context().Tag("new")
	require.Error(t, remote.Write(tag, fresh, basic("stranger-token")), "a reader does not write")
	grant("roles/artifactregistry.writer")
	require.NoError(t, remote.Write(tag, fresh, basic("stranger-token")))
	c.must(t, http.MethodPost, repositoryPath+":setIamPolicy", `{"policy":{}}`)
	_, err = remote.Get(ref, basic("stranger-token"))
	require.Error(t, err)
}

func TestAProjectsImagesAreForItsOwnCloudRun(t *testing.T) {
	c, image := newReadyCloud(t)
	for _, api := range []string{"run.googleapis.com", "artifactregistry.googleapis.com"} {
		c.must(t, http.MethodPost, "/v1/projects/other-dev/services/"+api+":enable", "{}")
	}
	path := "/v2/projects/other-dev/locations/europe-west1/services"
	op := c.settled(t, "v2", c.must(t, http.MethodPost, path+"?serviceId=thief", portal(image)))
	assert.Contains(t, op["error"].(map[string]any)["message"], "Google Cloud Run Service Agent service-42@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image")
	assert.Empty(t, c.platform.deployments())

	c.must(t, http.MethodPost, repositoryPath+":setIamPolicy",
		`{"policy":{"bindings":[{"role":"roles/artifactregistry.reader","members":["serviceAccount:service-42@serverless-robot-prod.iam.gserviceaccount.com"]}]}}`)
	c.succeeded(t, "v2", c.must(t, http.MethodPost, path+"?serviceId=guest", portal(image)))
}

func TestARepositoryTakesItsImagesWithIt(t *testing.T) {
	c, image := newReadyCloud(t)
	c.succeeded(t, "v1", c.must(t, http.MethodDelete, repositoryPath, ""))
	assert.Empty(t, c.apis.Inventory())
	c.createRepository(t, "images")
	ref, err := name.ParseReference(image)
	require.NoError(t, err)
	_, err = remote.Get(ref, basic("owner-token"))
	var problem *transport.Error
	require.ErrorAs(t, err, &problem)
	assert.Equal(t, http.StatusNotFound, problem.StatusCode)
}

func TestTheInventoryIsEmptyAgainAfterEverythingIsDeleted(t *testing.T) {
	c, image := newReadyCloud(t)
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`)
	c.deploy(t, portal(image))
	assert.Equal(t, []string{
		"//artifactregistry.googleapis.com/" + parent + "/repositories/images",
		"//artifactregistry.googleapis.com/" + parent + "/repositories/images/dockerImages/server",
		"//iam.googleapis.com/projects/acme-dev/serviceAccounts/portal@acme-dev.iam.gserviceaccount.com",
		"//run.googleapis.com/" + parent + "/services/portal",
	}, c.apis.Inventory())
	c.succeeded(t, "v2", c.must(t, http.MethodDelete, servicePath, ""))
	c.must(t, http.MethodDelete, "/v1/projects/acme-dev/serviceAccounts/portal@acme-dev.iam.gserviceaccount.com", "")
	c.succeeded(t, "v1", c.must(t, http.MethodDelete, repositoryPath, ""))
	assert.Empty(t, c.apis.Inventory())
}

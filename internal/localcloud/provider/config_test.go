package provider

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func loopbackConfig(change ...any) map[string]any {
	config := map[string]any{
		"project":                        "p1",
		"region":                         "europe-west1",
		"accessToken":                    "local-token",
		"cloudRunV2CustomEndpoint":       "http://127.0.0.1:9/v2/",
		"artifactRegistryCustomEndpoint": "http://127.0.0.1:9/v1/",
		"iamCustomEndpoint":              "http://127.0.0.1:9/",
		"secretManagerCustomEndpoint":    "http://127.0.0.1:9/v1/",
		"storageCustomEndpoint":          "http://127.0.0.1:9/storage/v1/",
		"resourceManagerCustomEndpoint":  "http://[::1]:9/",
		"serviceUsageCustomEndpoint":     "http://localhost:9/",
		"cloudIdentityCustomEndpoint":    "http://127.0.0.1:9/v1/",
		"kmsCustomEndpoint":              "http://127.0.0.1:9/v1/",
		"loggingCustomEndpoint":          "http://127.0.0.1:9/v2/",
		"monitoringCustomEndpoint":       "http://127.0.0.1:9/",
		"billingCustomEndpoint":          "http://127.0.0.1:9/v1/",
	}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(config, change[i].(string))
		} else {
			config[change[i].(string)] = change[i+1]
		}
	}
	return config
}

func TestCheckConfig(t *testing.T) {
	e := connect(t, serve(t))
	for name, tc := range map[string]struct {
		config map[string]any
		want   []string // the settings refused
		reason string   // in one of the reasons
	}{
		"loopback endpoints pass":                  {config: loopbackConfig()},
		"booleans and maps may be JSON in strings": {config: loopbackConfig("userProjectOverride", "true", "defaultLabels", `{"team":"x"}`, "skipRegionValidation", "true")},
		"booleans and maps may be themselves":      {config: loopbackConfig("userProjectOverride", true, "defaultLabels", map[string]any{"team": "x"})},
		"what the engine adds passes":              {config: loopbackConfig("version", "8.41.1", "__internal", map[string]any{})},
		"no endpoint may be missing": {
			config: loopbackConfig("cloudRunV2CustomEndpoint", nil, "iamCustomEndpoint", nil),
			want:   []string{"cloudRunV2CustomEndpoint", "iamCustomEndpoint"}, reason: "a real API would be called",
		},
		"no endpoint may be empty": {
			config: loopbackConfig("iamCustomEndpoint", ""), want: []string{"iamCustomEndpoint"}, reason: "127.0.0.1",
		},
		"Google's own endpoint is refused": {
			config: loopbackConfig("cloudRunV2CustomEndpoint", "https://run.googleapis.com/v2/"),
			want:   []string{"cloudRunV2CustomEndpoint"}, reason: "plain http://127.0.0.1",
		},
		"another machine is refused": {
			config: loopbackConfig("cloudRunV2CustomEndpoint", "http://10.0.0.1:80/v2/"),
			want:   []string{"cloudRunV2CustomEndpoint"}, reason: "not this machine",
		},
		"a name that starts like loopback is refused": {
			config: loopbackConfig("cloudRunV2CustomEndpoint", "http://127.0.0.1.example.com/v2/"),
			want:   []string{"cloudRunV2CustomEndpoint"}, reason: "not this machine",
		},
		"loopback as the user of another host is refused": {
			config: loopbackConfig("cloudRunV2CustomEndpoint", "http://127.0.0.1@example.com/v2/"),
			want:   []string{"cloudRunV2CustomEndpoint"}, reason: "plain http",
		},
		"an endpoint that is not called is refused too": {
			config: loopbackConfig("computeCustomEndpoint", "https://compute.googleapis.com/compute/v1/"),
			want:   []string{"computeCustomEndpoint"},
		},
		"an endpoint without its version is refused": {
			config: loopbackConfig("cloudRunV2CustomEndpoint", "http://127.0.0.1:9/"),
			want:   []string{"cloudRunV2CustomEndpoint"}, reason: `"/v2/"`,
		},
		"an endpoint not known in the preview is refused": {
			config: loopbackConfig("iamCustomEndpoint", resource.MakeComputed(resource.NewStringProperty(""))),
			want:   []string{"iamCustomEndpoint"}, reason: "must be known",
		},
		"real identities are refused": {
			config: loopbackConfig("credentials", `{"type":"service_account"}`, "impersonateServiceAccount", "a@b"),
			want:   []string{"credentials", "impersonateServiceAccount"}, reason: "takes no real identity",
		},
		"a token is needed":      {config: loopbackConfig("accessToken", nil), want: []string{"accessToken"}},
		"a misspelt key is told": {config: loopbackConfig("projekt", "p"), want: []string{"projekt"}, reason: "no setting"},
		"labels must be a map":   {config: loopbackConfig("defaultLabels", "[1]"), want: []string{"defaultLabels"}},
		"everything is told at once": {
			config: map[string]any{"projekt": "p"},
			want: []string{"accessToken", "artifactRegistryCustomEndpoint", "billingCustomEndpoint", "cloudIdentityCustomEndpoint", "cloudRunV2CustomEndpoint",
				"iamCustomEndpoint", "kmsCustomEndpoint", "loggingCustomEndpoint", "monitoringCustomEndpoint", "projekt",
				"resourceManagerCustomEndpoint", "secretManagerCustomEndpoint", "serviceUsageCustomEndpoint", "storageCustomEndpoint"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := e.rpc.CheckConfig(t.Context(), &pulumirpc.CheckRequest{News: toStruct(t, tc.config)})
			require.NoError(t, err)
			var refused, reasons []string
			for _, f := range resp.GetFailures() {
				refused = append(refused, f.GetProperty())
				reasons = append(reasons, f.GetReason())
			}
			assert.Equal(t, tc.want, refused)
			assert.Contains(t, strings.Join(reasons, "\n"), tc.reason)
		})
	}
}

func TestConfigureRefusesWhatCheckConfigRefuses(t *testing.T) {
	e := connect(t, serve(t))
	_, err := e.rpc.Configure(t.Context(), &pulumirpc.ConfigureRequest{
		Args: toStruct(t, loopbackConfig("cloudRunV2CustomEndpoint", "https://run.googleapis.com/v2/")),
	})
	assert.Equal(t, codes.InvalidArgument, status.Code(err))

	_, err = e.rpc.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urnOf(serviceToken), News: toStruct(t, map[string]any{})})
	assert.Equal(t, codes.FailedPrecondition, status.Code(err), "a refused configuration configures nothing")
}

// Nothing may leave this machine even if a configuration got through.
func TestTheClientDialsLoopbackOnly(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	c := newClient(context.Background(), serve(t).log, settings{})
	defer c.cancel()
	for _, address := range []string{"192.0.2.1", "[2001:db8::1]", "0.0.0.0", "169.254.169.254"} {
		t.Run(address, func(t *testing.T) {
			_, err := c.call(t.Context(), http.MethodGet, "http://"+address+"/", nil)
			assert.ErrorContains(t, err, "is not a loopback address")
		})
	}
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]any{"here": true}) }))
	defer here.Close()
	object, err := c.call(t.Context(), http.MethodGet, here.URL, nil)
	require.NoError(t, err)
	assert.Equal(t, true, object["here"])
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	c := newClient(context.Background(), serve(t).log, settings{})
	defer c.cancel()
	_, err := c.call(t.Context(), http.MethodGet, redirecting.URL, nil)
	assert.True(t, hasCode(err, http.StatusTemporaryRedirect), "%v", err)
}

func TestTheConfiguredTokenIsSentAndNoOther(t *testing.T) {
	t.Setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "real-token")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	cloud := newFakeCloud(t)
	attach(t, cloud).create(enableToken, map[string]any{"service": "run.googleapis.com"})
	assert.Equal(t, map[string]bool{"Bearer local-token": true}, cloud.tokens)
}

func TestEnginesOnOneServerKeepTheirOwnConfiguration(t *testing.T) {
	s := serve(t)
	one, two := newFakeCloud(t), newFakeCloud(t)
	engines := []*engine{connect(t, s), connect(t, s)}
	for i, cloud := range []*fakeCloud{one, two} {
		_, err := engines[i].rpc.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: toStruct(t, cloud.config())})
		require.NoError(t, err)
	}
	engines[0].create(accountToken, map[string]any{"accountId": "account-one"})
	assert.Len(t, one.accounts, 1)
	assert.Empty(t, two.accounts)
}

func TestDiffConfigNeverReplaces(t *testing.T) {
	e := connect(t, serve(t))
	for name, tc := range map[string]struct {
		news map[string]any
		want pulumirpc.DiffResponse_DiffChanges
	}{
		"the same":        {loopbackConfig(), pulumirpc.DiffResponse_DIFF_NONE},
		"another token":   {loopbackConfig("accessToken", "t2"), pulumirpc.DiffResponse_DIFF_SOME},
		"another project": {loopbackConfig("project", "p2"), pulumirpc.DiffResponse_DIFF_SOME},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := e.rpc.DiffConfig(t.Context(), &pulumirpc.DiffRequest{OldInputs: toStruct(t, loopbackConfig()), News: toStruct(t, tc.news)})
			require.NoError(t, err)
			assert.Equal(t, tc.want, resp.GetChanges())
			assert.Empty(t, resp.GetReplaces())
		})
	}
}

func TestAttachedProvesWhichProviderThisIs(t *testing.T) {
	e := connect(t, serve(t))
	resp, err := e.rpc.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "gcp:localcloud/attached:attached"})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"nonce": "n-1"}, resp.GetReturn().AsMap())
}

func TestGetProject(t *testing.T) {
	e := attach(t, newFakeCloud(t))
	for name, tc := range map[string]struct {
		args    map[string]any
		number  string
		failing string
	}{
		"the provider's project by default": {args: map[string]any{}, number: "4711"},
		"a project by its id":               {args: map[string]any{"projectId": "p1"}, number: "4711"},
		"a misspelt argument":               {args: map[string]any{"project": "p1"}, failing: "project"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := e.rpc.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "gcp:organizations/getProject:getProject", Args: toStruct(t, tc.args)})
			require.NoError(t, err)
			if tc.failing != "" {
				require.Len(t, resp.GetFailures(), 1)
				assert.Equal(t, tc.failing, resp.GetFailures()[0].GetProperty())
				return
			}
			result := resp.GetReturn().AsMap()
			assert.Equal(t, tc.number, result["number"])
			assert.Equal(t, "projects/p1", result["id"])
			assert.Equal(t, "99", result["orgId"])
		})
	}
	_, err := e.rpc.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "gcp:organizations/getProject:getProject", Args: toStruct(t, map[string]any{"projectId": "p2"})})
	assert.ErrorContains(t, err, "404")
	_, err = e.rpc.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "gcp:compute/getZones:getZones"})
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestStoragesAccountIsLookedUp(t *testing.T) {
	_, e := newRealCloud(t)
	for name, args := range map[string]map[string]any{"the provider's project by default": {}, "a project by its id": {"project": "p1"}} {
		t.Run(name, func(t *testing.T) {
			resp, err := e.rpc.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "gcp:storage/getProjectServiceAccount:getProjectServiceAccount", Args: toStruct(t, args)})
			require.NoError(t, err)
			result := resp.GetReturn().AsMap()
			assert.Equal(t, "service-4711@gs-project-accounts.iam.gserviceaccount.com", result["emailAddress"])
			assert.Equal(t, "serviceAccount:service-4711@gs-project-accounts.iam.gserviceaccount.com", result["member"])
			assert.Equal(t, "p1", result["project"])
		})
	}
}

func TestServerEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Serve(ctx, Options{})
	require.NoError(t, err)
	e := connect(t, s)
	info, err := e.rpc.GetPluginInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Equal(t, "8.41.1", info.GetVersion())
	cancel()
	require.NoError(t, s.Close(), "closing again is fine")
	_, err = e.rpc.GetPluginInfo(t.Context(), &emptypb.Empty{})
	assert.Equal(t, codes.Unavailable, status.Code(err))
}

func TestCancelEndsWhatIsInFlight(t *testing.T) {
	cloud := newFakeCloud(t)
	reached := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is a lost client noticed
		close(reached)
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	e := attach(t, cloud, map[string]any{"iamCustomEndpoint": hanging.URL + "/"})
	props := toStruct(t, map[string]any{"accountId": "account", "project": "p1"})
	ended := make(chan error, 1)
	go func() {
		_, err := e.rpc.Create(context.Background(), &pulumirpc.CreateRequest{Urn: urnOf(accountToken),
			Properties: props})
		ended <- err
	}()
	<-reached
	_, err := e.rpc.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Error(t, <-ended)
}

package apis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

const (
	projectID     = "acme-dev"
	projectNumber = 123456789012
	region        = "europe-west1"
	parent        = "projects/acme-dev/locations/europe-west1"

	owner    = "olivia@example.com"
	stranger = "sam@example.com"
	agent    = "service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
)

// tokens are whose access token is whose.
var tokens = map[string]string{"owner-token": owner, "stranger-token": stranger, "agent-token": agent}

// deadline bounds every wait: far more than anything here takes.
const deadline = time.Minute

// cloud is the APIs on loopback, with what they stand on.
type cloud struct {
	apis      *apis.APIs
	platform  *platform
	directory *directory
	url       string // of the APIs
	registry  string // HOST:PORT
	storage   string // the endpoint
}

func newCloud(t *testing.T, changes ...func(*apis.Options)) *cloud {
	t.Helper()
	apiListener, registryListener, storageListener := listen(t), listen(t), listen(t)
	c := &cloud{
		platform:  &platform{},
		directory: &directory{known: map[string]bool{"group:devs@example.com": true, "user:" + owner: true, "user:" + stranger: true}},
		url:       "http://" + apiListener.Addr().String(),
		registry:  registryListener.Addr().String(),
		storage:   "http://" + storageListener.Addr().String() + "/storage/v1/",
	}
	options := apis.Options{
		Platform:        c.platform,
		ServiceAccounts: c.directory,
		Authenticate: func(token string) (string, error) {
			if email, ok := tokens[token]; ok {
				return email, nil
			}
			return "", errors.New("unknown token")
		},
		MemberExists: c.directory.exists,
		Allows:       c.directory.allows,
		Projects:     map[string]int64{projectID: projectNumber, "other-dev": 42},
		Owners:       []string{"Olivia@example.com"},
		Groups:       noGroups{},
		Customer:     "C0123abcd",
		RegistryHost: c.registry,
	}
	for _, change := range changes {
		change(&options)
	}
	var err error
	c.apis, err = apis.New(options)
	require.NoError(t, err)
	serve(t, apiListener, c.apis.Handler())
	serve(t, registryListener, c.apis.Registry())
	serve(t, storageListener, c.apis.Storage())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		require.NoError(t, c.apis.Close(ctx))
	})
	return c
}

// newReadyCloud has its APIs enabled, and a repository with an image.
func newReadyCloud(t *testing.T) (*cloud, string) {
	t.Helper()
	c := newCloud(t)
	c.enable(t, "run.googleapis.com", "iam.googleapis.com", "artifactregistry.googleapis.com")
	c.createRepository(t, "images")
	return c, c.push(t, "acme-dev/images/server", "owner-token")
}

// noGroups is a directory of people alone: none of its other methods is called.
type noGroups struct{ directoryOfGroups }

type directoryOfGroups = apis.Groups

func (noGroups) Groups() []string { return nil }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func serve(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: h, Protocols: protocols, ReadHeaderTimeout: deadline}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
}

func (c *cloud) enable(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		c.must(t, http.MethodPost, "/v1/projects/acme-dev/services/"+name+":enable", `{}`)
	}
}

func (c *cloud) createRepository(t *testing.T, id string) {
	t.Helper()
	op := c.must(t, http.MethodPost, "/v1/"+parent+"/repositories?repository_id="+id, `{"format":"DOCKER"}`)
	require.Equal(t, true, op["done"])
}

// push writes a random image and returns its reference by digest.
func (c *cloud) push(t *testing.T, path, token string) string {
	t.Helper()
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	tag, err := name.NewTag(c.registry + "/" + path + ":latest")
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, image, basic(token)))
	digest, err := image.Digest()
	require.NoError(t, err)
	return c.registry + "/" + path + "@" + digest.String()
}

func basic(token string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "oauth2accesstoken", Password: token})
}

// answer is what a REST call gave.
type answer struct {
	code   int
	header http.Header
	body   map[string]any
	text   string
}

// problem is the error object of Google's shape, with its message apart.
func (a answer) problem() (map[string]any, string) {
	p, _ := a.body["error"].(map[string]any)
	message, _ := p["message"].(string)
	return p, message
}

func (c *cloud) as(t *testing.T, token, method, path, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, bytes.NewBufferString(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{code: resp.StatusCode, header: resp.Header, text: string(raw)}
	require.NoError(t, json.Unmarshal(raw, &a.body), "%s %s: %s", method, path, raw)
	return a
}

func (c *cloud) call(t *testing.T, method, path, body string) answer {
	t.Helper()
	return c.as(t, "owner-token", method, path, body)
}

func (c *cloud) must(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	a := c.call(t, method, path, body)
	require.Equal(t, http.StatusOK, a.code, "%s %s: %s", method, path, a.text)
	return a.body
}

// settled waits for an operation over REST, as a plugin does, and returns it.
func (c *cloud) settled(t *testing.T, version string, op map[string]any) map[string]any {
	t.Helper()
	path := "/" + version + "/" + op["name"].(string)
	require.Eventually(t, func() bool {
		op = c.must(t, http.MethodGet, path, "")
		return op["done"] == true
	}, deadline, 5*time.Millisecond)
	return op
}

// succeeded is settled without an error.
func (c *cloud) succeeded(t *testing.T, version string, op map[string]any) map[string]any {
	t.Helper()
	op = c.settled(t, version, op)
	require.NotContains(t, op, "error")
	response, _ := op["response"].(map[string]any)
	return response
}

// restOptions are for an official client that speaks REST.
func (c *cloud) restOptions(token string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(c.url),
		option.WithHTTPClient(&http.Client{Transport: bearer(token)}),
	}
}

// grpcOptions are for an official client that speaks gRPC.
func (c *cloud) grpcOptions(token string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(strings.TrimPrefix(c.url, "http://")),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if token != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
			}
			return invoke(ctx, method, req, reply, cc, opts...)
		})),
	}
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// directory remembers accounts, as the real one does. Its tokens say what they
// are.
type directory struct {
	mu    sync.Mutex
	known map[string]bool
}

func (d *directory) IDToken(email, audience string) (string, error) {
	return d.token("ID token of", email, "for", audience)
}

func (d *directory) IDTokenWithoutEmail(email, audience string) (string, error) {
	return d.token("bare ID token of", email, "for", audience)
}

func (d *directory) ShortLivedAccessToken(email string, lifetime time.Duration) (string, time.Time, error) {
	token, err := d.token("access token of", email, "for", lifetime.String())
	return token, time.Unix(1000, 0).Add(lifetime), err
}

func (d *directory) token(what, email, preposition, end string) (string, error) {
	if !d.exists("serviceAccount:" + email) {
		return "", errors.New("there is no " + email)
	}
	return strings.Join([]string{what, email, preposition, end}, " "), nil
}

func (d *directory) AddServiceAccount(email string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known["serviceAccount:"+email] = true
	return nil
}

func (d *directory) RemoveServiceAccount(email string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, "serviceAccount:"+email)
	return nil
}

// allows knows devs@example.com as the group of Sam alone.
func (d *directory) allows(members []string, email string) bool {
	return slices.Contains(members, "allUsers") || slices.Contains(members, "user:"+email) || slices.Contains(members, "serviceAccount:"+email) ||
		email == stranger && slices.Contains(members, "group:devs@example.com")
}

func (d *directory) exists(member string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[member]
}

// platform stands in for the front end: it notes what it is told, can be held
// back, and can fail.
type platform struct {
	mu       sync.Mutex
	deployed []deployment
	removed  []string
	fail     error
	hold     chan struct{} // deploys wait until it is closed
	busy     map[string]int
	clash    bool
}

type deployment struct {
	svc      *runpb.Service
	revision string
}

func (p *platform) Deploy(ctx context.Context, svc *runpb.Service, revision string) (string, error) {
	defer p.enter(svc.GetName())()
	p.mu.Lock()
	p.deployed = append(p.deployed, deployment{proto.CloneOf(svc), revision})
	hold, fail := p.hold, p.fail
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if fail != nil {
		return "", fail
	}
	return "http://127.0.0.1:1/" + svc.GetName(), nil
}

func (p *platform) Remove(_ context.Context, service string) error {
	defer p.enter(service)()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removed = append(p.removed, service)
	return nil
}

// enter notes when two calls for one service overlap.
func (p *platform) enter(service string) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy = map[string]int{}
	}
	p.busy[service]++
	p.clash = p.clash || p.busy[service] > 1
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy[service]--
	}
}

func (p *platform) set(fail error, hold chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail, p.hold = fail, hold
}

func (p *platform) deployments() []deployment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]deployment(nil), p.deployed...)
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	return string(encoded)
}

// Package localcloud is Google Cloud on one machine, as far as Berth uses it:
// the same APIs, the same registry, the same tokens, and a front end that
// enforces the same rules. Everything listens on loopback, and everything is
// gone after [Cloud.Close].
//
// It knows nothing of Berth's stacks, servers or proxy: to them it is Google
// Cloud at other addresses. It cannot reach a real account: it holds no
// credential but its own, and calls nothing that is not itself.
package localcloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
	"github.com/berth-mcp/berth/internal/localcloud/frontend"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
	"github.com/berth-mcp/berth/internal/localcloud/instance"
	"github.com/berth-mcp/berth/internal/localcloud/provider"
	"github.com/google/go-containerregistry/pkg/authn"
)

// Options say what there is before anybody has deployed anything.
type Options struct {
	// Dir holds unpacked images. Empty means a temporary directory, removed by
	// Close.
	Dir string
	// Projects are the Google projects and their numbers. Required.
	Projects map[string]int64
	// Operator is the e-mail of the person who owns the projects and whom
	// [Cloud.ProviderConfig] acts as. Required.
	Operator string
	// RestrictSharing lets IAM policies name the operator's own domain alone.
	RestrictSharing bool
	// BillingAccount pays for the projects, as in 012345-6789AB-CDEF01. Empty
	// means that nobody does.
	BillingAccount string
	// Keys are the encryption keys that there are, as
	// projects/P/locations/L/keyRings/R/cryptoKeys/K.
	Keys []string
	// InstanceEnv are variables of every instance, below those that a service
	// sets itself: what keeps a program on loopback, if it can be told.
	InstanceEnv map[string]string
	// StorageVar names the variable in which every instance is told the
	// endpoint of Cloud Storage, [Cloud.StorageURL]. Google's clients have no
	// variable of their own for it that leaves authentication on:
	// STORAGE_EMULATOR_HOST turns it off. Empty tells nobody.
	StorageVar string
	// TokenLifetime of ID and access tokens. Zero means an hour, as Google's.
	TokenLifetime time.Duration
	// IdleTimeout after which an instance without requests is stopped. Zero
	// means 15 minutes, as Cloud Run's.
	IdleTimeout time.Duration
	// Logger hears of calls, instances and refusals. Nil means silence.
	Logger *slog.Logger
}

// Cloud is a running local cloud. It is safe for concurrent use.
type Cloud struct {
	options   Options
	directory *identity.Directory
	frontend  *frontend.FrontEnd
	apis      *apis.APIs
	provider  *provider.Server
	nonce     string
	token     string // the operator's access token

	apiURL, accountsURL, storageURL, registryHost string
	closers                                       []func(context.Context) error // in the order of starting
}

// Customer is the Cloud Identity customer that the operator administers.
const Customer = "C0local00"

// closeTime bounds Close; then what still runs is killed.
const closeTime = 15 * time.Second

// Start starts everything. It runs until Close, whatever becomes of a context.
// On an error nothing stays behind.
func Start(o Options) (*Cloud, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cloud{options: o, nonce: rand.Text()}
	for _, start := range []func() error{c.startAccounts, c.startPlatform, c.startProvider} {
		if err := start(); err != nil {
			return nil, errors.Join(fmt.Errorf("starting the local cloud: %w", err), c.Close())
		}
	}
	return c, nil
}

// startAccounts starts the people, and the server that logs them in.
func (c *Cloud) startAccounts() error {
	listener, err := c.listen()
	if err != nil {
		return err
	}
	c.accountsURL = "http://" + listener.Addr().String()
	c.directory, err = identity.New(identity.Options{Issuer: c.accountsURL, TokenLifetime: c.options.TokenLifetime})
	if err != nil {
		return err
	}
	c.serve(listener, c.directory.Handler())
	if err := c.directory.AddPerson(c.options.Operator); err != nil {
		return fmt.Errorf("the operator: %w", err)
	}
	c.token, err = c.directory.AccessToken(c.options.Operator)
	return err
}

// startPlatform starts the APIs, the registry and the front end. They need each
// other: a call deploys, a deployment pulls, a request asks for a policy.
func (c *Cloud) startPlatform() error {
	apiListener, err := c.listen()
	if err != nil {
		return err
	}
	registryListener, err := c.listen()
	if err != nil {
		return err
	}
	storageListener, err := c.listen()
	if err != nil {
		return err
	}
	c.storageURL = "http://" + storageListener.Addr().String() + "/storage/v1/"
	c.apiURL = "http://" + apiListener.Addr().String()
	c.registryHost = registryListener.Addr().String()
	if err := c.newFrontEnd(); err != nil {
		return err
	}
	if err := c.newAPIs(); err != nil {
		return err
	}
	c.serve(apiListener, c.apis.Handler())
	c.serve(registryListener, c.apis.Registry())
	c.serve(storageListener, c.apis.Storage())
	return nil
}

func (c *Cloud) newFrontEnd() error {
	dir, err := c.imageDir()
	if err != nil {
		return err
	}
	// The APIs have asked, before they deploy, whether Cloud Run's own account
	// may pull; here it is one process that pulls, for all projects.
	images, err := instance.NewImages(instance.ImagesOptions{
		Registry: c.registryHost,
		Auth:     &authn.Basic{Username: "oauth2accesstoken", Password: c.token},
		Dir:      dir,
	})
	if err != nil {
		return err
	}
	c.frontend, err = frontend.New(frontend.Options{
		Directory:   c.directory,
		Policy:      func(service string) []string { return c.apis.Invokers(service) },
		Images:      images,
		Secret:      func(account, version string) ([]byte, error) { return c.apis.AccessSecret(account, version) },
		Projects:    c.options.Projects,
		Env:         c.instanceEnv(),
		IdleTimeout: c.options.IdleTimeout,
		Logger:      c.options.Logger,
	})
	if err != nil {
		return err
	}
	c.closers = append(c.closers, c.frontend.Close)
	return nil
}

func (c *Cloud) newAPIs() (err error) {
	c.apis, err = apis.New(apis.Options{
		Platform:        c.frontend,
		ServiceAccounts: c.directory,
		Authenticate:    c.directory.Authenticate,
		Groups:          c.directory,
		Customer:        Customer,
		RestrictSharing: c.options.RestrictSharing,
		BillingAccount:  c.options.BillingAccount,
		Keys:            c.options.Keys,
		MemberExists:    c.directory.Exists,
		Allows:          c.directory.Allows,
		Projects:        c.options.Projects,
		Owners:          []string{c.options.Operator},
		RegistryHost:    c.registryHost,
		Logger:          c.options.Logger,
	})
	if err != nil {
		return err
	}
	c.closers = append(c.closers, c.apis.Close)
	return nil
}

// instanceEnv adds where Cloud Storage is.
func (c *Cloud) instanceEnv() map[string]string {
	env := maps.Clone(c.options.InstanceEnv)
	if c.options.StorageVar == "" {
		return env
	}
	if env == nil {
		env = map[string]string{}
	}
	env[c.options.StorageVar] = c.storageURL
	return env
}

func (c *Cloud) imageDir() (string, error) {
	if c.options.Dir != "" {
		return c.options.Dir, os.MkdirAll(c.options.Dir, 0o700)
	}
	dir, err := os.MkdirTemp("", "berth-cloud-")
	if err == nil {
		c.closers = append(c.closers, func(context.Context) error { return os.RemoveAll(dir) })
	}
	return dir, err
}

func (c *Cloud) startProvider() (err error) {
	c.provider, err = provider.Serve(context.Background(), provider.Options{Nonce: c.nonce, Logger: c.options.Logger})
	if err == nil {
		c.closers = append(c.closers, func(context.Context) error { return c.provider.Close() })
	}
	return err
}

// Close stops everything: instances first come to their end as Cloud Run's do,
// with SIGTERM. It may be called twice.
func (c *Cloud) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var problems []error
	for _, closer := range slices.Backward(c.closers) {
		problems = append(problems, closer(ctx))
	}
	c.closers = nil
	return errors.Join(problems...)
}

// Directory is the people, groups and service accounts.
func (c *Cloud) Directory() *identity.Directory { return c.directory }

// TokenURL is the endpoint of the refresh-token grant.
func (c *Cloud) TokenURL() string { return c.accountsURL + "/token" }

// RegistryHost is the HOST:PORT of the OCI registry.
func (c *Cloud) RegistryHost() string { return c.registryHost }

// StorageURL is the endpoint of Cloud Storage, http://HOST:PORT/storage/v1/, as
// Google's clients take it.
func (c *Cloud) StorageURL() string { return c.storageURL }

// ProviderPort is where the resource provider listens for the Pulumi engine.
func (c *Cloud) ProviderPort() int { return c.provider.Port() }

// Nonce is what the resource provider answers to the question whose it is.
func (c *Cloud) Nonce() string { return c.nonce }

// ProviderConfig is the stack configuration that leads here: the endpoints of
// the gcp provider, the operator's token, and the registry.
func (c *Cloud) ProviderConfig() map[string]string {
	return map[string]string{
		"gcp:accessToken":                    c.token,
		"gcp:skipRegionValidation":           "true",
		"gcp:cloudRunV2CustomEndpoint":       c.apiURL + "/v2/",
		"gcp:iamCustomEndpoint":              c.apiURL + "/",
		"gcp:resourceManagerCustomEndpoint":  c.apiURL + "/",
		"gcp:serviceUsageCustomEndpoint":     c.apiURL + "/",
		"gcp:artifactRegistryCustomEndpoint": c.apiURL + "/v1/",
		"gcp:secretManagerCustomEndpoint":    c.apiURL + "/v1/",
		"gcp:storageCustomEndpoint":          c.storageURL,
		"gcp:cloudIdentityCustomEndpoint":    c.apiURL + "/v1/",
		"gcp:kmsCustomEndpoint":              c.apiURL + "/v1/",
		"gcp:loggingCustomEndpoint":          c.apiURL + "/v2/",
		"gcp:monitoringCustomEndpoint":       c.apiURL + "/",
		"gcp:billingCustomEndpoint":          c.apiURL + "/v1/",
		"gcp:cloudBillingCustomEndpoint":     c.apiURL + "/v1/",
		"gcp:orgPolicyCustomEndpoint":        c.apiURL + "/v2/",
	}
}

// Invokers are the members of roles/run.invoker on the service
// projects/P/locations/L/services/S.
func (c *Cloud) Invokers(service string) []string { return c.apis.Invokers(service) }

// Instances are the running instances of a service.
func (c *Cloud) Instances(service string) []frontend.Instance { return c.frontend.Instances(service) }

// Inventory is the full names of everything that exists, sorted, but for
// enabled APIs.
func (c *Cloud) Inventory() []string { return c.apis.Inventory() }

// EnabledServices are the APIs that are on in a project, sorted.
func (c *Cloud) EnabledServices(project string) []string { return c.apis.EnabledServices(project) }

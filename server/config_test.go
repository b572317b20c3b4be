package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// env is an environment that has only these variables.
type env map[string]string

func (e env) get(name string) string { return e[name] }

func TestTheAddressFollowsTheIdentity(t *testing.T) {
	for _, c := range []struct {
		name     string
		env      env
		address  string
		loopback bool
	}{
		{"on Cloud Run, every address", env{"BERTH_IDENTITY": "cloudrun", "K_SERVICE": "acme", "PORT": "8080"}, ":8080", false},
		{"on Cloud Run, its port", env{"BERTH_IDENTITY": "cloudrun", "K_SERVICE": "acme", "PORT": "9000"}, ":9000", false},
		{"cloudrun on one address", env{"BERTH_IDENTITY": "cloudrun", "K_SERVICE": "acme", "PORT": "8080", "BERTH_LISTEN": "127.0.0.1"}, "127.0.0.1:8080", true},
		{"dev, loopback", env{"BERTH_IDENTITY": "dev"}, "127.0.0.1:8080", true},
		{"dev, any free port", env{"BERTH_IDENTITY": "dev", "PORT": "0"}, "127.0.0.1:0", true},
		{"dev, IPv6 loopback", env{"BERTH_IDENTITY": "dev", "BERTH_LISTEN": "::1"}, "[::1]:8080", true},
		{"dev, opened on purpose", env{"BERTH_IDENTITY": "dev", "BERTH_LISTEN": "0.0.0.0", "BERTH_DEV_ALLOW_ANYONE": "true"}, "0.0.0.0:8080", false},
		{"dev as a sidecar on Cloud Run", env{"BERTH_IDENTITY": "dev", "K_SERVICE": "acme"}, "127.0.0.1:8080", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.env["BERTH_CLIENT"] = "acme"
			cfg, err := loadConfig(c.env.get)
			require.NoError(t, err)
			assert.Equal(t, c.address, cfg.address)
			assert.Equal(t, c.loopback, cfg.loopback())
			assert.Equal(t, "acme", cfg.client)
		})
	}
}

func TestWhatIsWrongIsNamedWithItsRemedy(t *testing.T) {
	good := env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev"}
	for _, c := range []struct {
		name string
		with env
		want string
	}{
		{"no client", env{"BERTH_CLIENT": ""}, "BERTH_CLIENT: it is not set: name the client"},
		{"not a client", env{"BERTH_CLIENT": "Acme Inc"}, `BERTH_CLIENT: "Acme Inc" is no client's name: use lower-case`},
		{"no identity", env{"BERTH_IDENTITY": ""}, `BERTH_IDENTITY: "" is no way of knowing the caller: set one of cloudrun, dev`},
		{"an identity that does not exist", env{"BERTH_IDENTITY": "off"}, `BERTH_IDENTITY: "off" is no way`},
		{"cloudrun elsewhere", env{"BERTH_IDENTITY": "cloudrun"}, "BERTH_IDENTITY: cloudrun trusts the platform"},
		{"not a port", env{"PORT": "http"}, `PORT: "http" is no port: use a number`},
		{"no such port", env{"PORT": "65536"}, `PORT: "65536" is no port`},
		{"a negative port", env{"PORT": "-1"}, `PORT: "-1" is no port`},
		{"a name to listen on", env{"BERTH_LISTEN": "localhost"}, `BERTH_LISTEN: "localhost" is no IP address`},
		{"data in another kind of store", env{"BERTH_DATA": "s3://acme"}, `BERTH_DATA: "s3://acme" is neither a directory nor gs://BUCKET`},
		{"data in no bucket", env{"BERTH_DATA": "gs://"}, `BERTH_DATA: "gs://" names no bucket`},
		{"settings twice", env{"BERTH_CONFIG": "{}", "BERTH_CONFIG_FILE": "x"}, "BERTH_CONFIG_FILE: BERTH_CONFIG is set as well"},
		{"settings in no file", env{"BERTH_CONFIG_FILE": "/no/such/file"}, "BERTH_CONFIG_FILE: must be the path of a file of settings: no such file"},
		{"settings with a misspelt field", env{"BERTH_CONFIG": "access: {raed_only: true}"}, "BERTH_CONFIG: it cannot be read: yaml: unmarshal errors:\n  line 1: field raed_only not found"},
		{"settings in two documents", env{"BERTH_CONFIG": "limits: {burst: 1}\n---\naccess: {read_only: true}"}, "BERTH_CONFIG: it goes on after its first YAML document"},
		{"no such role", env{"BERTH_CONFIG": "access: {default: root}"}, `"root" is no role: use one of none, viewer`},
		{"a rule that names nobody", env{"BERTH_CONFIG": "access: {roles: {admin: [ada]}}"}, `BERTH_CONFIG: access.roles.admin: "ada" names nobody`},
		{"a limit below zero", env{"BERTH_CONFIG": "limits: {burst: -1}"}, "BERTH_CONFIG: limits.burst: -1 is below zero"},
		{"oidc without issuers", env{"BERTH_IDENTITY": "oidc"}, "BERTH_IDENTITY: oidc.resource: "},
		{"dev, open to all", env{"BERTH_LISTEN": "0.0.0.0"}, "BERTH_LISTEN: with BERTH_IDENTITY=dev, whoever reaches 0.0.0.0 may use this server as dev@localhost"},
		{"dev, open to all, half-heartedly", env{"BERTH_LISTEN": "::", "BERTH_DEV_ALLOW_ANYONE": "1"}, "BERTH_DEV_ALLOW_ANYONE=true"},
		{"dev, open to all of Cloud Run", env{"BERTH_LISTEN": "0.0.0.0", "BERTH_DEV_ALLOW_ANYONE": "true", "K_SERVICE": "acme"}, "use BERTH_IDENTITY=cloudrun"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := env{}
			for _, from := range []env{good, c.with} {
				for name, value := range from {
					e[name] = value
				}
			}
			_, err := loadConfig(e.get)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAllThatIsWrongIsReportedAtOnce(t *testing.T) {
	_, err := loadConfig(env{"PORT": "x", "BERTH_LISTEN": "y"}.get)
	require.Error(t, err)
	for _, want := range []string{"BERTH_CLIENT: ", "BERTH_IDENTITY: ", "PORT: ", "BERTH_LISTEN: "} {
		assert.ErrorContains(t, err, want)
	}
}

func TestSettingsComeFromTheVariableOrTheFile(t *testing.T) {
	const text = "access:\n  default: none\n  roles:\n    manager: [user:ada@example.com]\nlimits:\n  tool_timeout: 5s\n"
	file := filepath.Join(t.TempDir(), "settings.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for _, e := range []env{{"BERTH_CONFIG": text}, {"BERTH_CONFIG_FILE": file}} {
		e["BERTH_CLIENT"], e["BERTH_IDENTITY"] = "acme", "dev"
		cfg, err := loadConfig(e.get)
		require.NoError(t, err)
		assert.Equal(t, guard.None, *cfg.settings.Access.Default)
		assert.Equal(t, map[guard.Role][]string{guard.Manager: {"user:ada@example.com"}}, cfg.settings.Access.Roles)
		assert.Equal(t, 5*time.Second, cfg.settings.Limits.ToolTimeout)
	}
}

// Whoever sets a variable of a path to what belongs into the file finds it in no log.
func TestLoadConfig_DoesNotRepeatWhatIsNoPath(t *testing.T) {
	const content = "oidc: {issuers: [{issuer: 'https://login.example.com'}]} # {\"private_key\": \"TOPSECRET\"}"
	inBase64 := base64.StdEncoding.EncodeToString([]byte(content))
	t.Chdir(t.TempDir())
	for _, test := range []struct{ variable, value, want string }{
		{"BERTH_CONFIG_FILE", content, "must be the path of a file"},
		{"BERTH_CONFIG_FILE", content + "\n", "must be the path of a file"},
		{"BERTH_CONFIG_FILE", inBase64, "must be the path of a file"},
		{"BERTH_DATA", content, "must be a directory"},
		{"BERTH_DATA", "a first line\nTOPSECRET", "must be a directory"},
		{"BERTH_DATA", strings.Repeat(inBase64, 10), "must be a directory"}, // longer than a name
	} {
		_, err := loadConfig(env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", test.variable: test.value}.get)
		require.ErrorContains(t, err, test.variable+": "+test.want)
		assert.NotContains(t, err.Error(), test.value)
		assert.NotContains(t, err.Error(), "TOPSECRET")
	}
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	assert.Empty(t, left, "no directory has its name from a secret")
}

func TestOnOnesOwnMachineOneMayDoEverything(t *testing.T) {
	cfg, err := loadConfig(env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev"}.get)
	require.NoError(t, err)
	assert.Equal(t, guard.Admin, *cfg.settings.Access.Default)

	cfg, err = loadConfig(env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "K_SERVICE": "acme"}.get)
	require.NoError(t, err)
	assert.Nil(t, cfg.settings.Access.Default, "a sidecar's callers are everyone whom the container beside it lets in")

	cfg, err = loadConfig(env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "cloudrun", "K_SERVICE": "acme", "PORT": "8080"}.get)
	require.NoError(t, err)
	assert.Nil(t, cfg.settings.Access.Default, "elsewhere, nobody is more than a viewer by default")
}

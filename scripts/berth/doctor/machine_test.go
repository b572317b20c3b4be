package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/toolchain"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is an operator's machine with nothing on it: no tools, no logins.
func machine(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "PATH": filepath.Join(home, "bin"), "CLOUDSDK_CONFIG": filepath.Join(home, "gcloud"), "GCE_METADATA_HOST": "127.0.0.1:1",
		"PULUMI_HOME": filepath.Join(home, ".pulumi"),
	} {
		t.Setenv(name, value)
	}
	for _, name := range []string{
		"PULUMI_BACKEND_URL", "PULUMI_CREDENTIALS_PATH", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE",
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON",
		"GCLOUD_KEYFILE_JSON", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_CLOUD_QUOTA_PROJECT",
	} {
		t.Setenv(name, "") // so that it is put back
		require.NoError(t, os.Unsetenv(name))
	}
	return home
}

// write writes a file of the machine, for its owner alone.
func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o700))
}

// about gives what was found by a check.
func about(t *testing.T, findings []finding, check string) finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	require.Fail(t, "no finding", "about %s in %v", check, findings)
	return finding{}
}

func TestAMachineWithNothingOnItIsToldWhatToInstall(t *testing.T) {
	machine(t)
	found := tools(t.Context(), stack{})
	for _, check := range []string{"pulumi", "go", "state"} {
		f := about(t, found, check)
		assert.Equal(t, wrong, f.Status, check)
		assert.NotEmpty(t, f.Mend, check)
	}
	assert.Equal(t, warning, about(t, found, "gcloud").Status, "a service account deploys without it")
}

func TestAToolTellsItsVersionAndOneThatFailsIsSaid(t *testing.T) {
	home := machine(t)
	write(t, filepath.Join(home, "bin", "pulumi"), "#!/bin/sh\necho v3.250.0\n")
	write(t, filepath.Join(home, "bin", "go"), "#!/bin/sh\nexit 3\n")
	write(t, filepath.Join(home, "bin", "gcloud"), "#!/bin/sh\ntouch "+filepath.Join(home, "run")+"\n")
	found := tools(t.Context(), stack{})
	assert.Equal(t, fine("pulumi", "v3.250.0"), about(t, found, "pulumi"))
	assert.Equal(t, warning, about(t, found, "go").Status)
	assert.Equal(t, ok, about(t, found, "gcloud").Status)

	write(t, filepath.Join(home, "bin", "pulumi"), "#!/bin/sh\necho v3.99.0\n")
	old := about(t, tools(t.Context(), stack{}), "pulumi")
	assert.Equal(t, warning, old.Status)
	assert.Contains(t, old.Says, "v3.99.0 is older than 3.250.0")
	assert.NotEmpty(t, old.Mend)
	assert.NoFileExists(t, filepath.Join(home, "run"), "gcloud writes files wherever it runs, so it is not run")
}

func TestTools_GoWithoutSecurityFixesIsAWarning(t *testing.T) {
	home, root := machine(t), t.TempDir()
	// It tells its version in the project's directory only, where it builds.
	write(t, filepath.Join(home, "bin", "go"), `#!/bin/sh
[ "$*" = "env GOVERSION" ] && read -r version <GOVERSION && echo "$version"
`)
	for _, test := range []struct {
		gomod, found string
		want         status
	}{
		{"go 1.25", "go1.26.3", warning},
		{"go 1.25", "go1.25.12", warning},
		{"go 1.25", "devel go1.26-1a2b3c4 Thu Jan 1", warning},
		{"go 1.25", "gccgo 15", warning},
		{"go 1.25", toolchain.Go, ok},
		{"go 1.25", toolchain.Go + " X:nodwarf5", ok},
		{"go 1.25", "devel go1.99-1a2b3c4 Thu Jan 1", ok},
		{"go 1.25", "go1.99.0", ok},
		{"go 1.99.1", "go1.99.0", warning},
		{"go 1.99.1", "go1.99.1", ok},
	} {
		write(t, filepath.Join(root, "go.mod"), "module example.com/acme\n\n"+test.gomod+"\n")
		write(t, filepath.Join(root, "GOVERSION"), test.found+"\n")
		f := about(t, tools(t.Context(), stack{root: root}), "go")
		assert.Equal(t, test.want, f.Status, "%s with %s: %s", test.gomod, test.found, f.Says)
		assert.Contains(t, f.Says, test.found)
		if test.want == warning {
			assert.NotEmpty(t, f.Mend)
		}
	}
}

func TestTheStateIsWherePulumiWouldLook(t *testing.T) {
	home, root := machine(t), t.TempDir()
	url := func() string {
		t.Helper()
		found, err := backendURL(root)
		require.NoError(t, err)
		return found
	}
	assert.Empty(t, url())

	write(t, filepath.Join(home, ".pulumi", "credentials.json"), `{"current":"gs://last-login","accessTokens":{"gs://last-login":"a-secret"}}`)
	assert.Equal(t, "gs://last-login", url())
	write(t, filepath.Join(root, "Pulumi.yaml"), "name: berth\nbackend:\n  url: gs://of-the-project\n")
	assert.Equal(t, "gs://of-the-project", url())
	t.Setenv("PULUMI_BACKEND_URL", "file://~")
	assert.Equal(t, "file://~", url())

	t.Setenv("PULUMI_BACKEND_URL", "")
	require.NoError(t, os.Remove(filepath.Join(root, "Pulumi.yaml")))
	write(t, filepath.Join(home, ".pulumi", "credentials.json"), `not JSON`)
	_, err := backendURL(root)
	require.ErrorContains(t, err, "credentials.json")
}

func TestBackend_ShowsNoPassword(t *testing.T) {
	machine(t)
	for given, want := range map[string]string{
		"postgres://ada:SECRET@db.example/state?sslmode=require": "postgres://db.example/state",
		"azblob://state?sas=SECRET":                              "azblob://state",
		"gs://state":                                             "gs://state",
		"file://~":                                               "file://~",
		"SECRET":                                                 "it is not a URL",
		"postgres://ada:SECRET%zz@db":                            "it is not a URL",
	} {
		t.Setenv("PULUMI_BACKEND_URL", given)
		for _, f := range backend(stack{root: t.TempDir()}) {
			said := fmt.Sprint(f)
			assert.NotContains(t, said, "SECRET", given)
			if f.Check == "state" {
				assert.Contains(t, said, want, given)
			}
		}
	}
}

func TestAPassphraseIsAskedForWhereNobodyElseEncrypts(t *testing.T) {
	home := machine(t)
	file := filepath.Join(home, "passphrase")
	write(t, file, "secret words")
	tests := map[string]struct {
		stack   stack
		backend string
		env     map[string]string
		want    status
		says    string
	}{
		"a bucket and no passphrase":       {stack{}, "gs://state", nil, warning, "PULUMI_CONFIG_PASSPHRASE_FILE"},
		"a bucket and a passphrase":        {stack{}, "gs://state", map[string]string{"PULUMI_CONFIG_PASSPHRASE": "secret words"}, ok, "PULUMI_CONFIG_PASSPHRASE"},
		"an empty passphrase is one":       {stack{}, "gs://state", map[string]string{"PULUMI_CONFIG_PASSPHRASE": ""}, ok, "PULUMI_CONFIG_PASSPHRASE"},
		"a passphrase in a file":           {stack{}, "gs://state", map[string]string{"PULUMI_CONFIG_PASSPHRASE_FILE": file}, ok, file},
		"a file that is not there":         {stack{}, "gs://state", map[string]string{"PULUMI_CONFIG_PASSPHRASE_FILE": file + "2"}, wrong, "no such file"},
		"Pulumi Cloud":                     {stack{}, "https://api.pulumi.com", nil, ok, "backend encrypts"},
		"a key of Google's in the bucket":  {stack{encrypted: "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"}, "gs://state", nil, ok, "gcpkms encrypts"},
		"a state file on this machine too": {stack{}, "file://~", nil, warning, "pulumi will ask"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			f := passphrase(test.stack, test.backend)
			assert.Equal(t, test.want, f.Status)
			assert.Contains(t, f.Says, test.says)
			assert.NotContains(t, f.Says, "secret words")
		})
	}
}

func TestAStackIsReadFromItsFile(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "Pulumi.yaml"), "name: berth\n") // with the next, a clone
	write(t, filepath.Join(root, "tools", "go.mod"), "module tools\n")
	write(t, filepath.Join(root, "Pulumi.acme.yaml"), `secretsprovider: passphrase
config:
  gcp:project: acme-prod
  gcp:region: europe-west1
  gcp:accessToken:
    secure: v1:abc
  berth:developers: [group:a@example.com, user:b@other.example]
  berth:data: {enabled: true}
  berth:secrets: {}
`)
	t.Chdir(root)
	s, err := readStack("org/berth/acme")
	require.NoError(t, err)
	assert.Equal(t, "acme-prod", s.project())
	assert.Equal(t, "berth-acme", s.service())
	assert.Empty(t, s.encrypted)
	assert.True(t, s.isEncrypted("gcp:accessToken"))
	assert.False(t, s.isEncrypted("gcp:project"))
	assert.True(t, s.enabled("berth:data"))
	assert.False(t, s.has("berth:secrets"))
	assert.Equal(t, []string{"other.example"}, s.foreignDomains("user:me@example.com"))
	assert.Equal(t, []string{"artifactregistry.googleapis.com", "iam.googleapis.com", "run.googleapis.com", "storage.googleapis.com"}, s.apis())

	_, err = readStack("globex")
	require.ErrorContains(t, err, "pulumi stack init globex")
	_, err = readStack("../acme")
	require.NoError(t, err, "only the last part is a file's")
	_, err = readStack("a b")
	require.ErrorContains(t, err, "not a stack's name")
	write(t, filepath.Join(root, "Pulumi.bad.yaml"), "config: [")
	_, err = readStack("bad")
	require.ErrorContains(t, err, "not YAML")
}

func TestAReportIsForAPersonOrAScript(t *testing.T) {
	findings := []finding{fine("go", "go1.26"), doubt("apis", "off: a & b").by("gcloud x"), fault("billing", "nobody pays").by("gcloud y", "gcloud z")}

	var text bytes.Buffer
	r := newReport(&text, false)
	r.add(findings...)
	require.EqualError(t, r.end(), "one thing is wrong; mend what is marked, then run it again")
	assert.Equal(t, strings.Join([]string{
		"ok       go           go1.26",
		"warning  apis         off: a & b",
		"                       gcloud x",
		"wrong    billing      nobody pays",
		"                       gcloud y",
		"                       gcloud z",
		"",
	}, "\n"), text.String())

	var script bytes.Buffer
	r = newReport(&script, true)
	r.add(findings...)
	require.Error(t, r.end())
	var got struct {
		OK       bool
		Findings []finding
	}
	require.NoError(t, json.Unmarshal(script.Bytes(), &got))
	assert.False(t, got.OK)
	assert.Equal(t, findings, got.Findings)

	r = newReport(&script, false)
	r.add(findings[:2]...)
	assert.NoError(t, r.end(), "a warning is not wrong")
}

func TestTheCommandSaysWhatItWants(t *testing.T) {
	for _, args := range [][]string{{}, {"--project", "p"}, {"acme", "--project", "acme-prod"}, {"a", "b"}} {
		cmd := Command()
		cmd.SetArgs(args)
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		assert.Error(t, cmd.ExecuteContext(t.Context()), "%v", args)
	}
}

func TestAProjectOrRegionThatCannotBeIsNamed(t *testing.T) {
	bad := map[string]any{"gcp:project": "Acme", "gcp:region": "Belgium"}
	found, good := stack{name: "acme", settings: bad}.place()
	assert.False(t, good)
	require.Len(t, found, 2)
	assert.Equal(t, wrong, found[0].Status)
	assert.Contains(t, found[0].Says, `gcp:project: "Acme" is not a project id`)
	assert.Equal(t, []string{"pulumi config set gcp:project PROJECT --stack acme"}, found[0].Mend)
	assert.Contains(t, found[1].Says, `gcp:region: "Belgium" is not a region`)

	found, good = stack{settings: bad}.place()
	assert.False(t, good)
	require.Len(t, found, 2)
	assert.Empty(t, found[0].Mend, "no stack has it: it is a flag's")

	found, good = stack{settings: map[string]any{"gcp:project": "acme-prod", "gcp:region": "europe-west1"}}.place()
	assert.True(t, good)
	assert.Empty(t, found)
}

package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/config"
)

const complete = `# Mine.
port: 4040

clients:
  # The first.
  acme:
    url: https://acme.example/mcp # its server
    audience: https://acme.custom.example
    access-hint: acme-developers@example.com
  globex: # by name
    project: my-project
    region: europe-west1
    service: berth-globex
`

var (
	acme   = config.Client{Name: "acme", URL: "https://acme.example/mcp", Audience: "https://acme.custom.example", AccessHint: "acme-developers@example.com"}
	globex = config.Client{Name: "globex", Project: "my-project", Region: "europe-west1", Service: "berth-globex"}
	hooli  = config.Client{Name: "hooli", URL: "https://hooli.example"}
)

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "proxy.yaml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func content(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

func TestAFileSaysSettingsAndClients(t *testing.T) {
	file, err := config.Read(write(t, complete))
	require.NoError(t, err)
	assert.Equal(t, []config.Setting{{Name: "port", Value: "4040", Line: 2}}, file.Settings)
	assert.Equal(t, []config.Client{acme, globex}, file.Clients)
	target, err := file.Clients[0].Target()
	require.NoError(t, err)
	assert.Equal(t, "https://acme.example", target.URL())
	assert.Equal(t, acme.Audience, target.Audience)
	assert.Equal(t, acme.AccessHint, target.AccessHint)
	assert.False(t, file.Clients[1].Located())
}

func TestAFileThatIsNotThereOrEmptySaysNothing(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "none.yaml"), write(t, ""), write(t, "# nothing yet\n"), write(t, "clients:\n"), write(t, "null\n")} {
		file, err := config.Read(name)
		require.NoError(t, err)
		assert.Equal(t, config.File{Name: name}, file)
	}
}

func TestEveryProblemOfAFileIsToldWithItsLine(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    []string
	}{
		"not YAML":               {"clients: [", []string{": yaml: line 1: did not find expected node content: correct it"}},
		"a list":                 {"- acme", []string{`:1: the file must be names with values`}},
		"two documents":          {"port: 1\n---\nport: 2\n", []string{": there is more than one YAML document"}},
		"a setting twice":        {"port: 1\nport: 2\n", []string{`:2: "port" is there twice`}},
		"a setting that is many": {"port: [1]\n", []string{":1: port must be a single value"}},
		"a key that is a list":   {"[a]: 1\n", []string{":1: the file has a key that is not a name"}},
		"no value":               {"port:\n", []string{":1: port has no value"}},
		"another's value":        {"clients:\n  acme: &a {url: 'https://a.example'}\n  globex: *a\n", []string{`:3: client "globex" must be names with values`}},
		"everything": {`clients:
  acme:
    url: http://ada:secret@acme.example?key=secret
    uri: https://acme.example
  B:
    url: https://b.example
    audience: two words
  mcp:
    project: P
    region: Europe
  globex: {access-hint: "two\nlines"}
  acme:
    url: https://other.example
  nothing:
`, []string{
			`:4: client "acme": there is no setting "uri": use url, project, region, service, audience or access-hint`,
			`:5: client "B": use 1 to 63 of a-z, 0-9 and -`,
			`:5: client "B": audience is "two words": use one of the service's custom audiences`,
			`:8: client "mcp": the name is a path that servers use`,
			`:8: client "mcp": project is "P": use a project's id`,
			`:8: client "mcp": region is "Europe": use a region`,
			`:8: client "mcp": a service on Cloud Run is named by project, region and service: give service`,
			`:11: client "globex": access-hint is not one line`,
			`:11: client "globex": no server is named: give its url, or the project, region and service`,
			`:12: "acme" is there twice`,
			`:14: client "nothing": no server is named`,
		}},
		"a URL that holds too much": {"clients:\n  acme:\n    url: http://ada:secret@acme.example?key=secret\n", []string{
			`:2: client "acme": URL "http://acme.example" would send your token unencrypted`,
			`:2: client "acme": URL "http://acme.example" holds a user name or password`,
			`:2: client "acme": URL "http://acme.example" holds a query`,
		}},
		"one that is too large": {strings.Repeat("#", 2<<20), []string{" is larger than 1024 KiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, test.content)
			_, err := config.Read(file)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(test.want), err.Error())
			for i, want := range test.want {
				assert.True(t, strings.HasPrefix(lines[i], file+want), "%q does not start with %q", lines[i], file+want)
			}
			assert.NotContains(t, err.Error(), "secret")

			require.Error(t, config.Add(file, hooli, true), "what cannot be read is not changed")
			assert.Equal(t, test.content, content(t, file))
		})
	}
}

func TestWhatHasNoProblemComesWithTheError(t *testing.T) {
	file, err := config.Read(write(t, complete+"  B: {}\n"))
	require.Error(t, err)
	assert.Equal(t, []config.Client{acme, globex}, file.Clients)
}

func TestAFileThatOthersMayWriteIsNotBelieved(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // whose permissions are others
	}
	for _, mode := range []os.FileMode{0o620, 0o602} {
		file := write(t, complete)
		require.NoError(t, os.Chmod(file, mode))
		_, err := config.Read(file)
		assert.ErrorContains(t, err, "may be written by others")
		assert.ErrorContains(t, err, "chmod 600 "+file)
		assert.Error(t, config.Add(file, hooli, false))
	}
	_, err := config.Read(t.TempDir())
	assert.ErrorContains(t, err, "not a regular file")
}

func TestAClientIsAddedAndCommentsStay(t *testing.T) {
	file := write(t, complete)
	require.NoError(t, config.Add(file, hooli, false))
	read, err := config.Read(file)
	require.NoError(t, err)
	assert.Equal(t, []config.Client{acme, globex, hooli}, read.Clients)
	for _, comment := range []string{"# Mine.\n", "# The first.\n", "# its server\n", "# by name\n"} {
		assert.Contains(t, content(t, file), comment)
	}
}

func TestAClientIsReplacedOnlyIfAskedFor(t *testing.T) {
	file := write(t, complete)
	other := config.Client{Name: "acme", URL: "https://elsewhere.example", Project: "my-project", Region: "europe-west1", Service: "acme"}
	require.ErrorIs(t, config.Add(file, other, false), config.ErrExists)
	assert.Equal(t, complete, content(t, file))
	require.NoError(t, config.Add(file, acme, false), "what is there already is no other")

	require.NoError(t, config.Add(file, other, true))
	read, err := config.Read(file)
	require.NoError(t, err)
	assert.Equal(t, []config.Client{other, globex}, read.Clients)
	assert.Contains(t, content(t, file), "# its server\n")
}

func TestClientsAreRemovedAllOrNone(t *testing.T) {
	file := write(t, complete)
	err := config.Remove(file, []string{"acme", "initech", "hooli"})
	require.ErrorContains(t, err, `there is no client "initech" in `+file)
	require.ErrorContains(t, err, `there is no client "hooli"`)
	assert.Equal(t, complete, content(t, file))

	require.NoError(t, config.Remove(file, []string{"globex", "acme"}))
	read, err := config.Read(file)
	require.NoError(t, err)
	assert.Empty(t, read.Clients)
	assert.Len(t, read.Settings, 1)

	require.NoError(t, config.Add(file, hooli, false))
	assert.Contains(t, content(t, file), "clients:\n  hooli:\n    url: https://hooli.example\n", "as a person would write it")
}

func TestTheFirstClientMakesTheFile(t *testing.T) {
	for name, file := range map[string]string{
		"no directory": filepath.Join(t.TempDir(), "berth", "proxy.yaml"),
		"empty":        write(t, ""),
		"null":         write(t, "null\n"),
		"no clients":   write(t, "clients: null\n"),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, config.Add(file, hooli, false))
			assert.Equal(t, "clients:\n  hooli:\n    url: https://hooli.example\n", content(t, file))
			if runtime.GOOS != "windows" {
				info, err := os.Stat(file)
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o600), info.Mode())
			}
		})
	}
}

func TestEditsAtOnceAreAllKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proxy.yaml")
	const editors = 16
	var wg sync.WaitGroup
	for i := range editors {
		wg.Go(func() {
			assert.NoError(t, config.Add(file, config.Client{Name: fmt.Sprintf("client-%d", i), URL: "https://acme.example"}, false))
		})
	}
	wg.Wait()
	read, err := config.Read(file)
	require.NoError(t, err)
	assert.Len(t, read.Clients, editors)
}

func TestAnyTextSurvivesTheFile(t *testing.T) {
	for _, text := range []string{"123", "true", "null", "~", "- a", "a: b # c", `"`, "'", "*a", "ask Ada"} {
		file := filepath.Join(t.TempDir(), "proxy.yaml")
		want := hooli
		want.AccessHint = text
		require.NoError(t, config.Add(file, want, false))
		read, err := config.Read(file)
		require.NoError(t, err, text)
		assert.Equal(t, []config.Client{want}, read.Clients)
	}
}

func FuzzAnEditKeepsWhatItDoesNotChange(f *testing.F) {
	f.Add(complete)
	f.Add("{clients: {acme: {url: 'https://a.example'}}, port: 1}")
	f.Add("clients:\n  acme: {url: https://a.example} # x\n\n  # y\n")
	f.Fuzz(func(t *testing.T, before string) {
		file := write(t, before)
		read, err := config.Read(file)
		if err != nil {
			return
		}
		if err := config.Add(file, hooli, true); err != nil {
			t.Fatal(err)
		}
		after, err := config.Read(file)
		require.NoError(t, err, content(t, file))
		if len(read.Settings) != len(after.Settings) {
			t.Fatalf("settings %v became %v", read.Settings, after.Settings)
		}
		for i := range read.Settings {
			assert.Equal(t, read.Settings[i].Value, after.Settings[i].Value)
		}
		assert.Contains(t, after.Clients, hooli)
		for _, client := range read.Clients {
			if client.Name != hooli.Name {
				assert.Contains(t, after.Clients, client)
			}
		}
	})
}

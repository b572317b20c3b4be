package client

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/infra/setting"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestThePulumiDevStackShowsEveryKeyWithItsDefault(t *testing.T) {
	content, err := os.ReadFile("../../Pulumi.dev.yaml")
	require.NoError(t, err)
	var stack struct{ Config settings }
	require.NoError(t, yaml.Unmarshal(content, &stack))
	for _, k := range Keys {
		assert.Contains(t, stack.Config, "berth:"+k.Name)
	}

	shown, err := loaded(t, stack.Config)
	require.NoError(t, err)
	want := Defaults()
	want.Client, want.Project, want.Region = "acme", "berth-dev", "europe-west1"
	want.Developers = []string{"group:dev-developers@example.com"}
	want.Group.Members, want.Monitoring.Channels = []string{}, []string{} // written out, as nothing
	assert.Equal(t, want, shown)
}

func TestTheTablesOfFieldsAreThoseThatTheProgramReads(t *testing.T) {
	for table, read := range map[string]any{
		"group": Group{}, "startupProbe": Probe{}, "livenessProbe": Probe{}, "secrets": secretSetting{},
		"sidecars": Sidecar{}, "network": Network{}, "data": Data{}, "monitoring": Monitoring{},
	} {
		for _, k := range Keys {
			if k.Name == table {
				assertFields(t, table, k.Fields, reflect.TypeOf(read))
			}
		}
	}
	for _, k := range Keys {
		if k.Name == "sidecars" {
			for _, f := range k.Fields {
				if f.Name == "startupProbe" {
					assertFields(t, "sidecars.startupProbe", f.Fields, reflect.TypeFor[Probe]())
				}
			}
		}
	}
}

// assertFields compares a table of fields with a struct: names in its order, and types.
func assertFields(t *testing.T, table string, keys []setting.Key, read reflect.Type) {
	t.Helper()
	kinds := map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Bool: "boolean",
		reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object",
	}
	var shown, fields []string
	for _, k := range keys {
		shown = append(shown, k.Name+" "+k.Type)
	}
	for i := range read.NumField() {
		f := read.Field(i)
		fields = append(fields, strings.Split(f.Tag.Get("json"), ",")[0]+" "+kinds[f.Type.Kind()])
	}
	assert.Equal(t, fields, shown, table)
}

func TestTheDefaultsOfFieldsAreThoseOfTheirObject(t *testing.T) {
	for _, k := range Keys {
		object, _ := k.Default.(map[string]any)
		if k.Entries {
			continue // what an entry leaves out is tested with the entries
		}
		for _, f := range k.Fields {
			if written, says := object[f.Name]; says {
				assert.Equal(t, f.Default, written, "%s.%s", k.Name, f.Name)
				continue
			}
			if f.Name != "path" { // the probe fills it in
				assert.True(t, reflect.ValueOf(f.Default).IsZero() || reflect.ValueOf(f.Default).Len() == 0, "%s.%s", k.Name, f.Name)
			}
		}
	}
}

func TestASecretInPlainTextIsRefusedBesideEncryptedOnesToo(t *testing.T) {
	t.Chdir(t.TempDir())
	s := valid(settings{"berth:secrets": settings{"OPEN": settings{"value": "hunter2"}, "SHUT": settings{"value": "correct horse"}}})
	file := func(open string) {
		content := "config:\n  berth:secrets:\n    OPEN: {value: " + open + "}\n    SHUT: {value: {secure: abc}}\n"
		require.NoError(t, os.WriteFile("Pulumi.acme.yaml", []byte(content), 0o600))
	}
	file("hunter2")
	_, err := loaded(t, s, "berth:secrets") // to Pulumi, the whole setting is a secret
	require.ErrorContains(t, err, "berth:secrets.OPEN.value")
	assert.NotContains(t, err.Error(), "SHUT")
	assert.NotContains(t, err.Error(), "hunter2")

	file("{secure: def}")
	_, err = loaded(t, s, "berth:secrets")
	require.NoError(t, err)
	_, err = loaded(t, s)
	require.ErrorContains(t, err, "berth:secrets.SHUT.value", "nothing is encrypted")
}

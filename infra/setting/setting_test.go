package setting

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type port struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
}

type sidecar struct {
	Image string            `json:"image"`
	Ports []port            `json:"ports"`
	Env   map[string]string `json:"env"`
	Share float64           `json:"share"`
	Warm  *bool             `json:"warm"`
}

var keys = []Key{
	{Name: "name", Type: "string", Default: "nobody"},
	{Name: "many", Type: "integer", Default: 3},
	{Name: "on", Type: "boolean", Default: true},
	{Name: "list", Type: "array", Default: []string{"one"}},
	{Name: "sidecar", Type: "object", Default: map[string]any{"image": "default", "share": 0.5}},
	{Name: "sidecars", Type: "array", Default: []any{}},
}

// reading runs a program that reads settings, with a configuration as Pulumi
// passes it.
func reading(t *testing.T, config map[string]string, secret []string, program func(*Reader)) error {
	t.Helper()
	return pulumi.RunErr(func(ctx *pulumi.Context) error {
		r := NewReader(ctx, keys)
		program(r)
		return r.Err()
	}, pulumi.WithMocks("berth", "acme", none{}), func(info *pulumi.RunInfo) {
		info.Config, info.ConfigSecretKeys = config, secret
	})
}

type none struct{}

func (none) NewResource(pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return "", nil, nil
}
func (none) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

func TestWhatIsNotSetIsAsTheTableSays(t *testing.T) {
	require.NoError(t, reading(t, nil, nil, func(r *Reader) {
		assert.Equal(t, "nobody", r.Text("name"))
		assert.Equal(t, 3, r.Integer("many"))
		assert.True(t, r.Boolean("on"))
		assert.Equal(t, []string{"one"}, r.List("list"))
		assert.Equal(t, sidecar{Image: "default", Share: 0.5}, Object[sidecar](r, "sidecar"))
		assert.Empty(t, Object[[]sidecar](r, "sidecars"))
	}))
}

func TestWhatIsSetIsRead(t *testing.T) {
	yes := true
	require.NoError(t, reading(t, map[string]string{
		"berth:name":     "80", // text, although it looks like a number
		"berth:many":     "80",
		"berth:on":       "false",
		"berth:list":     `["two","three"]`,
		"berth:sidecar":  `{"ports":[{"number":80}],"env":{"A":"b"},"warm":true}`,
		"berth:sidecars": `[{"image":"one"},{"share":1}]`,
	}, nil, func(r *Reader) {
		assert.Equal(t, "80", r.Text("name"))
		assert.Equal(t, 80, r.Integer("many"))
		assert.False(t, r.Boolean("on"))
		assert.Equal(t, []string{"two", "three"}, r.List("list"))
		assert.Equal(t, sidecar{Image: "default", Share: 0.5, Ports: []port{{Number: 80}}, Env: map[string]string{"A": "b"}, Warm: &yes},
			Object[sidecar](r, "sidecar"), "what an object leaves out is as the default says")
		assert.Equal(t, []sidecar{{Image: "one"}, {Share: 1}}, Object[[]sidecar](r, "sidecars"))
	}))
}

func TestEveryMisfitIsReportedAtItsPath(t *testing.T) {
	err := reading(t, map[string]string{
		"berth:many":     "1.5",
		"berth:on":       "maybe",
		"berth:list":     "one",
		"berth:sidecar":  `{"imgae":"x","Share":1,"share":"half","ports":[{"number":"http"},{"nmae":"x"}],"env":{"A":1},"warm":1}`,
		"berth:sidecars": `{"image":"x"}`,
	}, nil, func(r *Reader) {
		assert.Equal(t, 3, r.Integer("many"), "the rest goes on with the default")
		r.Boolean("on")
		r.List("list")
		Object[sidecar](r, "sidecar")
		Object[[]sidecar](r, "sidecars")
	})
	require.Error(t, err)
	for _, says := range []string{
		"the configuration of stack acme has problems, and nothing was changed",
		`berth:many: "1.5" is not a whole number`,
		`berth:on: "maybe" is not true or false`,
		`berth:list: "one" is not a list`,
		`berth:sidecar.imgae: "x" is not a field there; did you mean image?`,
		`berth:sidecar.Share: "1" is not a field there; did you mean share?`,
		`berth:sidecar.share: "half" is not a number`,
		`berth:sidecar.ports[0].number: "http" is not a whole number`,
		`berth:sidecar.ports[1].nmae: "x" is not a field there; did you mean name?`,
		`berth:sidecar.env.A: "1" is not text`,
		`berth:sidecar.warm: "1" is not true or false`,
		`berth:sidecars: "map[image:x]" is not a list`,
	} {
		assert.ErrorContains(t, err, says)
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	err := reading(t, map[string]string{
		"berth:many":    "hunter2",
		"berth:sidecar": `{"ports":[{"number":"hunter2"}],"pasword":"hunter2"}`,
	}, []string{"berth:many", "berth:sidecar"}, func(r *Reader) {
		r.Integer("many")
		Object[sidecar](r, "sidecar")
	})
	require.ErrorContains(t, err, "berth:sidecar.ports[0].number")
	require.ErrorContains(t, err, "berth:sidecar.pasword")
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestAnUnknownNameGetsTheNearestOrAll(t *testing.T) {
	known := []string{"concurrency", "cpu", "memory"}
	assert.Equal(t, "did you mean concurrency?", Instead("concurency", known))
	assert.Equal(t, "did you mean cpu?", Instead("CPU", known))
	assert.Equal(t, "there are: concurrency, cpu, memory", Instead("frobnicate", known))
}

func TestASettingThatIsNoneIsReportedWithTheNearest(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"berth:nmae":"x","berth:on":"true","gcp:nobodys":"business"}`)
	err := reading(t, map[string]string{"berth:nmae": "x", "berth:On": "true"}, nil, func(*Reader) {})
	require.ErrorContains(t, err, `berth:nmae: "x" is no setting of such a stack; did you mean name?`)
	assert.NotContains(t, err.Error(), "nobodys")
}

func TestWithoutPulumisEnvironmentTheStacksFileNamesTheSettings(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.acme.yaml"), []byte("config:\n  berth:nam: x\n  gcp:project: p\n"), 0o600))
	t.Setenv(pulumi.EnvConfig, "")
	err := pulumi.RunErr(func(ctx *pulumi.Context) error { return NewReader(ctx, keys).Err() },
		pulumi.WithMocks("berth", "acme", none{}), func(info *pulumi.RunInfo) { info.RootDirectory = dir })
	require.ErrorContains(t, err, "did you mean name?")
	assert.NotContains(t, err.Error(), "project")
}

func TestTheReferenceFollowsTheTable(t *testing.T) {
	assert.Equal(t, "| key | type | default | |\n|---|---|---|---|\n"+
		"| `berth:size` | integer | `3` | how \\| many |\n"+
		"| `berth:stores.NAME` | object |  | many |\n"+
		"| `berth:stores.NAME.days` | integer | `7` | kept |\n",
		Reference([]Key{
			{Name: "size", Type: "integer", Default: 3, Description: "how | many"},
			{Name: "stores", Type: "object", Default: map[string]any{}, Description: "many", Entries: true,
				Fields: []Key{{Name: "days", Type: "integer", Default: 7, Description: "kept"}}},
		}))
}

func TestBetweenKeepsWhatIsAround(t *testing.T) {
	got, err := Between("a\nBEGIN\nold\nEND\nb\n", "BEGIN", "END", "new\n")
	require.NoError(t, err)
	assert.Equal(t, "a\nBEGIN\nnew\nEND\nb\n", got)
	_, err = Between("a\n", "BEGIN", "END", "new\n")
	assert.ErrorContains(t, err, "BEGIN")
}

func TestWhatIsInTheClearBesideWhatIsEncryptedIsSeen(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("Pulumi.acme.yaml", []byte(`config:
  berth:sidecar:
    image: open
    env:
      SHUT: {secure: "v1:abc"}
`), 0o600))
	require.NoError(t, reading(t, nil, nil, func(r *Reader) {
		assert.True(t, r.InTheClear("sidecar", "image"))
		assert.False(t, r.InTheClear("sidecar", "env", "SHUT"))
		assert.False(t, r.InTheClear("sidecar", "env", "ELSE"))
		assert.False(t, r.InTheClear("name"))
	}))
	require.NoError(t, os.WriteFile("Pulumi.acme.yaml", []byte("config: {berth:name: {secure: abc}}"), 0o600))
	require.NoError(t, reading(t, nil, nil, func(r *Reader) { assert.False(t, r.InTheClear("name", "image"), "all of it is encrypted") }))
}

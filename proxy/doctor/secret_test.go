package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/doctor"
)

func TestDoctor_FailsOnSecretThatOthersCanRead(t *testing.T) {
	d := newDoctor(t, newEndpoint(t).source)
	file := filepath.Join(d.Place.System.Home, "it's", ".codex", "config.toml")
	backup := file + ".berth-backup"
	d.Place.System.Getenv = func(name string) string { return map[string]string{"CODEX_HOME": filepath.Dir(file)}[name] }
	about := func() (results []doctor.Result) {
		for _, r := range d.Run(t.Context()) {
			if r.Check == doctor.Secret {
				results = append(results, r)
			}
		}
		return results
	}
	assert.Empty(t, about(), "there is no secret in any file")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	for _, name := range []string{file, backup} {
		require.NoError(t, os.WriteFile(name, []byte("[mcp_servers.acme]\nurl = \"http://localhost:3030/0123456789abcdef/acme/mcp\"\n"), 0o600))
	}
	assert.Equal(t, []doctor.Result{{Check: doctor.Secret, Status: doctor.OK, Message: "only you can read it in the files of Codex CLI"}}, about())

	d.Secret, d.SecretFile, d.Place.System.OS = "0123456789abcdef", "secret-file", "windows"
	results := about()
	require.Len(t, results, 2)
	for i, name := range []string{"secret-file", file + ", " + backup} {
		assert.Equal(t, doctor.Unknown, results[i].Status)
		assert.Contains(t, results[i].Message, name)
	}
	d.Place.System.OS = "linux"
	if runtime.GOOS == "windows" {
		return // where modes do not tell
	}
	for name, test := range map[string]struct {
		open []string
		want string
	}{
		"both":       {[]string{file, backup}, fmt.Sprintf(`'%s/it'\''s/.codex/config.toml' '%[1]s/it'\''s/.codex/config.toml.berth-backup'`, d.Place.System.Home)},
		"the backup": {[]string{backup}, fmt.Sprintf(`'%s/it'\''s/.codex/config.toml.berth-backup'`, d.Place.System.Home)},
	} {
		for _, mode := range []os.FileMode{0o644, 0o640, 0o602} {
			for _, name := range test.open {
				require.NoError(t, os.Chmod(name, mode))
			}
			assert.Equal(t, []doctor.Result{{Check: doctor.Secret, Status: doctor.Failed, Message: "others can read it in the files of Codex CLI: run `chmod 600 " + test.want + "`"}}, about(), name)
			for _, name := range test.open {
				require.NoError(t, os.Chmod(name, 0o600))
			}
		}
	}
}

func TestWorst_UnknownIsNeitherGoodNorFailed(t *testing.T) {
	of := func(statuses ...doctor.Status) doctor.Status {
		var results []doctor.Result
		for _, s := range statuses {
			results = append(results, doctor.Result{Status: s})
		}
		return doctor.Worst(results)
	}
	assert.Equal(t, doctor.OK, of())
	assert.Equal(t, doctor.OK, of(doctor.Skipped, doctor.OK))
	assert.Equal(t, doctor.Unknown, of(doctor.OK, doctor.Unknown, doctor.Skipped))
	assert.Equal(t, doctor.Warning, of(doctor.Warning, doctor.Unknown))
	assert.Equal(t, doctor.Failed, of(doctor.Warning, doctor.Failed, doctor.Unknown))
}

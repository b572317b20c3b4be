package service

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
)

// awkward has in it what each form has to write otherwise.
var awkward = Service{
	Program:     `/opt/Tom's & "Co" 100% $HOME\berth-proxy`,
	Args:        []string{"serve", "--config", `C:\Users\<ada>\a b\`, `say "hi"`, ""},
	Environment: []string{`HTTPS_PROXY=http://proxy.example:3128/?a=$1&b=2%`},
}

func home(environment map[string]string) Home {
	return Home{Dir: "/home/ada", User: "501", Getenv: func(name string) string { return environment[name] }}
}

func TestEachSystemIsToldWhereItLooks(t *testing.T) {
	local := map[string]string{"LOCALAPPDATA": `C:\Users\ada\AppData\Local`}
	for name, test := range map[string]struct {
		system      string
		environment map[string]string
		want        string
	}{
		"systemd":                    {"linux", nil, "/home/ada/.config/systemd/user/berth-proxy.service"},
		"systemd with settings else": {"linux", map[string]string{"XDG_CONFIG_HOME": "/else"}, "/else/systemd/user/berth-proxy.service"},
		"launchd":                    {"darwin", nil, "/home/ada/Library/LaunchAgents/io.github.berth-mcp.berth-proxy.plist"},
		"the Task Scheduler":         {"windows", local, `C:\Users\ada\AppData\Local\berth\berth-proxy.xml`},
	} {
		unit, err := New(test.system, awkward, home(test.environment))
		require.NoError(t, err, name)
		assert.Equal(t, test.want, unit.File, name)
		assert.NotEmpty(t, unit.Start, name)
		assert.NotEmpty(t, unit.Stop, name)
	}
	_, err := New("windows", awkward, home(nil))
	assert.ErrorContains(t, err, "LOCALAPPDATA is not set")
	_, err = New("plan9", awkward, home(nil))
	assert.ErrorContains(t, err, "there is no service file for plan9")
}

func TestNoLineCanBeAdded(t *testing.T) {
	for _, system := range Systems {
		for _, s := range []Service{
			{Program: "/bin/x\nExecStartPre=/bin/evil"},
			{Program: "/bin/x", Args: []string{"a\nb"}},
			{Program: "/bin/x", Environment: []string{"A=b\rc"}},
		} {
			_, err := New(system, s, home(map[string]string{"LOCALAPPDATA": `C:\`}))
			assert.ErrorContains(t, err, "has a control character")
		}
	}
}

func TestSystemdReadsTheWordsAsTheyAre(t *testing.T) {
	unit, err := New("linux", awkward, home(nil))
	require.NoError(t, err)
	assert.Contains(t, string(unit.Content), `ExecStart="/opt/Tom's & \"Co\" 100%% $$HOME\\berth-proxy" "serve" "--config" "C:\\Users\\<ada>\\a b\\" "say \"hi\"" ""`+"\n")
	assert.Contains(t, string(unit.Content), `Environment="HTTPS_PROXY=http://proxy.example:3128/?a=$1&b=2%%"`+"\n")
}

func TestLaunchdReadsTheWordsAsTheyAre(t *testing.T) {
	unit, err := New("darwin", awkward, home(nil))
	require.NoError(t, err)
	var plist struct {
		Dict struct {
			Array struct {
				Strings []string `xml:"string"`
			} `xml:"array"`
			Dicts []struct {
				Keys    []string `xml:"key"`
				Strings []string `xml:"string"`
			} `xml:"dict"`
		} `xml:"dict"`
	}
	require.NoError(t, xml.Unmarshal(unit.Content, &plist))
	assert.Equal(t, append([]string{awkward.Program}, awkward.Args...), plist.Dict.Array.Strings)
	assert.Equal(t, awkward.Environment[0], plist.Dict.Dicts[0].Keys[0]+"="+plist.Dict.Dicts[0].Strings[0])
}

func TestTheTaskSchedulerReadsTheWordsAsTheyAre(t *testing.T) {
	unit, err := New("windows", awkward, home(map[string]string{"LOCALAPPDATA": `C:\Local`}))
	require.NoError(t, err)
	units := make([]uint16, len(unit.Content)/2)
	require.NoError(t, binary.Read(bytes.NewReader(unit.Content), binary.LittleEndian, units))
	text := string(utf16.Decode(units))
	require.True(t, strings.HasPrefix(text, "\ufeff<?xml version=\"1.0\" encoding=\"UTF-16\"?>"))
	_, body, _ := strings.Cut(text, "?>") // the decoder reads no UTF-16
	var task struct {
		Exec struct {
			Command, Arguments string
		} `xml:"Actions>Exec"`
	}
	require.NoError(t, xml.Unmarshal([]byte(body), &task))
	assert.Equal(t, awkward.Program, task.Exec.Command)
	assert.Equal(t, `serve --config "C:\Users\<ada>\a b\\" "say \"hi\"" ""`, task.Exec.Arguments)
}

// A key of many lines in the place of a path, say.
func TestNew_NamesWhatItDoesNotRepeat(t *testing.T) {
	_, err := New("linux", Service{
		Program: "/bin/x", Args: []string{"serve", "SECRET\n"}, Environment: []string{"GOOGLE_APPLICATION_CREDENTIALS={\n\"SECRET\"}"},
	}, home(nil))
	require.ErrorContains(t, err, "argument 2 of berth-proxy has a control character or an invisible one")
	require.ErrorContains(t, err, "the variable GOOGLE_APPLICATION_CREDENTIALS has a control character")
	assert.NotContains(t, err.Error(), "SECRET")
}

func TestNothingInAServiceFileIsHidden(t *testing.T) {
	for _, attack := range plaintexttest.Hostile {
		for _, system := range Systems {
			_, err := New(system, Service{Program: "/bin/x", Environment: []string{"HTTPS_PROXY=" + attack.Text}}, home(map[string]string{"LOCALAPPDATA": `C:\`}))
			assert.ErrorContains(t, err, "an invisible one", attack.Name)
		}
	}
}

package localcloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// goHost is the part of Pulumi's Go language runtime that "pulumi up" needs to
// run a compiled program. The real one is a separate download.
type goHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	program string // the compiled program
	engine  string // address that the engine gave in its handshake
	pwd     string // directory that the program last ran in
}

// startGoHost gives the value of PULUMI_DEBUG_LANGUAGES that attaches to it.
func startGoHost(t *testing.T, program string) (*goHost, string) {
	t.Helper()
	host := &goHost{program: program}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	pulumirpc.RegisterLanguageRuntimeServer(server, host)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return host, fmt.Sprintf("go:%d", listener.Addr().(*net.TCPAddr).Port)
}

func (h *goHost) Handshake(_ context.Context, r *pulumirpc.LanguageHandshakeRequest) (*pulumirpc.LanguageHandshakeResponse, error) {
	h.engine = r.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (h *goHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

// GetRequiredPackages names none: the provider is attached, not installed.
func (h *goHost) GetRequiredPackages(context.Context, *pulumirpc.GetRequiredPackagesRequest) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

func (h *goHost) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Run runs the program as Pulumi's runtime does: everything by environment.
func (h *goHost) Run(ctx context.Context, r *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	config, err := json.Marshal(r.GetConfig())
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(r.GetConfigSecretKeys())
	if err != nil {
		return nil, err
	}
	h.pwd = r.GetInfo().GetProgramDirectory()
	cmd := exec.CommandContext(ctx, h.program)
	cmd.Dir = h.pwd
	cmd.Env = append(os.Environ(),
		"PULUMI_ORGANIZATION="+r.GetOrganization(),
		"PULUMI_PROJECT="+r.GetProject(),
		"PULUMI_ROOT_DIRECTORY="+r.GetInfo().GetRootDirectory(),
		"PULUMI_STACK="+r.GetStack(),
		"PULUMI_CONFIG="+string(config),
		"PULUMI_CONFIG_SECRET_KEYS="+string(secrets),
		"PULUMI_DRY_RUN="+strconv.FormatBool(r.GetDryRun()),
		"PULUMI_PARALLEL="+strconv.Itoa(int(r.GetParallel())),
		"PULUMI_MONITOR="+r.GetMonitorAddress(),
		"PULUMI_ENGINE="+h.engine,
	)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("%v: %s", err, output.String())}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

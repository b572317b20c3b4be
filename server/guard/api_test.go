package guard_test

import (
	"go/types"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

const serverPackages = "github.com/berth-mcp/berth/server/"

// Whoever has the server behind a guard can add to it and serve it past the guard: no
// exported name of these packages leads to it.
func TestGuard_GivesItsServerToNobody(t *testing.T) {
	loaded, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedTypes},
		serverPackages+"guard", serverPackages+"endpoint", serverPackages+"portal", serverPackages+"telemetry")
	require.NoError(t, err)
	require.Len(t, loaded, 4)
	for _, pkg := range loaded {
		require.Empty(t, pkg.Errors)
		s := search{seen: map[types.Type]bool{}, of: map[string]bool{}}
		for _, name := range pkg.Types.Scope().Names() {
			if object := pkg.Types.Scope().Lookup(name); object.Exported() {
				s.look(object.Type(), pkg.Name+"."+name)
			}
		}
		assert.Empty(t, s.ways)
		assert.True(t, pkg.Name != "guard" || s.of[serverPackages+"guard.Guard"], "it has looked at the guard itself")
	}
}

// search follows types by what other packages can name.
type search struct {
	seen map[types.Type]bool
	of   map[string]bool // the named types that it has seen
	ways []string        // to the server
}

func (s *search) look(of types.Type, way string) {
	of = types.Unalias(of)
	if s.seen[of] {
		return
	}
	s.seen[of] = true
	switch of := of.(type) {
	case *types.Named:
		s.named(of, way)
	case *types.Struct:
		for field := range of.Fields() {
			if field.Exported() {
				s.look(field.Type(), way+"."+field.Name())
			}
		}
	case *types.Signature:
		for _, of := range []*types.Tuple{of.Params(), of.Results()} {
			for v := range of.Variables() {
				s.look(v.Type(), way+"()")
			}
		}
	case *types.Interface:
		for method := range of.Methods() {
			s.look(method.Type(), way+"."+method.Name())
		}
	case *types.Map:
		s.look(of.Key(), way)
		s.look(of.Elem(), way)
	case interface{ Elem() types.Type }: // pointers, slices, arrays and channels
		s.look(of.Elem(), way)
	}
}

func (s *search) named(of *types.Named, way string) {
	name := of.Obj().Name()
	if pkg := of.Obj().Pkg(); pkg != nil {
		name = pkg.Path() + "." + name
	}
	s.of[name] = true
	if name == "github.com/modelcontextprotocol/go-sdk/mcp.Server" {
		s.ways = append(s.ways, way)
		return
	}
	for method := range of.Methods() {
		if method.Exported() {
			s.look(method.Type(), way+"."+method.Name())
		}
	}
	s.look(of.Underlying(), way)
}

package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// sourceHash identifies everything that a build of pkg depends on: the files of
// each package of the main module, the versions of the modules around it (go.sum
// vouches for their content), the Go version, the base and the platforms. Neither the
// place of the files nor the commit counts.
func sourceHash(ctx context.Context, dir, pkg, base string, platforms []string) (string, error) {
	platforms = slices.Sorted(slices.Values(platforms))
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), base)
	for _, platform := range platforms {
		fmt.Fprintln(h, platform)
		if err := hashPlatform(ctx, h, dir, pkg, platform); err != nil {
			return "", fmt.Errorf("hashing the source of %s for %s: %w", pkg, platform, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashPlatform(ctx context.Context, h io.Writer, dir, pkg, platform string) error {
	goos, rest, _ := strings.Cut(platform, "/")
	goarch, _, _ := strings.Cut(rest, "/")
	roots, err := packages.Load(&packages.Config{
		Context: ctx,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedEmbedFiles |
			packages.NeedImports | packages.NeedDeps | packages.NeedModule,
		Dir: dir,
		Env: append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS="),
	}, pkg)
	if err != nil {
		return err
	}
	all := map[string]*packages.Package{}
	var problems []error
	packages.Visit(roots, nil, func(p *packages.Package) {
		all[p.PkgPath] = p
		for _, e := range p.Errors {
			problems = append(problems, e)
		}
	})
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	for _, importPath := range slices.Sorted(maps.Keys(all)) {
		if err := hashPackage(h, all[importPath]); err != nil {
			return err
		}
	}
	return nil
}

func hashPackage(h io.Writer, p *packages.Package) error {
	if p.Module == nil { // the standard library: the Go version says it all
		return nil
	}
	module := p.Module
	if module.Replace != nil {
		module = module.Replace
	}
	if module.Version != "" {
		fmt.Fprintln(h, p.PkgPath, module.Path, module.Version)
		return nil
	}
	fmt.Fprintln(h, p.PkgPath)
	files := slices.Concat(p.GoFiles, p.OtherFiles, p.EmbedFiles)
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		relative, err := filepath.Rel(module.Dir, file)
		if err != nil {
			return err
		}
		if err := hashFile(h, path.Clean(filepath.ToSlash(relative)), file); err != nil {
			return err
		}
	}
	return nil
}

func hashFile(h io.Writer, as, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return err
	}
	fmt.Fprintf(h, "%s %x\n", as, content.Sum(nil))
	return nil
}

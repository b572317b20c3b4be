// Command sbom writes the software bill of materials of a Go program, as CycloneDX in JSON,
// from what the compiler noted in it:
//
//	sbom PROGRAM DOCUMENT
package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("give a program and the document to write")
	}
	bom, err := describe(args[0])
	if err != nil {
		return err
	}
	document, err := os.Create(args[1])
	if err != nil {
		return err
	}
	return errors.Join(cyclonedx.NewBOMEncoder(document, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom), document.Close())
}

func describe(program string) (*cyclonedx.BOM, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read what %s was built from: %w", program, err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)

	main := component(info.Main, cyclonedx.ComponentTypeApplication)
	main.Name = filepath.Base(program)
	main.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	settings := []cyclonedx.Property{{Name: "go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		settings = append(settings, cyclonedx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	main.Properties = &settings

	components := []cyclonedx.Component{component(debug.Module{Path: "std", Version: info.GoVersion}, cyclonedx.ComponentTypeLibrary)}
	refs := []string{components[0].BOMRef}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		c := component(*module, cyclonedx.ComponentTypeLibrary)
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom, nil
}

// component names a module as package URLs have it.
func component(m debug.Module, kind cyclonedx.ComponentType) cyclonedx.Component {
	version := cmp.Or(m.Version, "(devel)")
	url := fmt.Sprintf("pkg:golang/%s@%s", m.Path, version)
	c := cyclonedx.Component{Type: kind, BOMRef: url, Name: m.Path, Version: version, PackageURL: url}
	if m.Sum != "" { // Go's hash of the module's files, as in go.sum
		c.Properties = &[]cyclonedx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

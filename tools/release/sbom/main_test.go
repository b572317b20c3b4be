package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

func TestAProgramsModulesAreListed(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(t.TempDir(), "sbom.json")
	if err := run([]string{program, document}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(document)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(file, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range *bom.Components {
		names[c.Name] = true
		if c.PackageURL != "pkg:golang/"+c.Name+"@"+c.Version {
			t.Errorf("%s has the package URL %s", c.Name, c.PackageURL)
		}
	}
	for _, want := range []string{"std", "github.com/CycloneDX/cyclonedx-go"} {
		if !names[want] {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	if len((*bom.Metadata.Component.Hashes)[0].Value) != 64 {
		t.Error("the program's hash is missing")
	}
}

func TestWhatIsNoGoProgramIsSaid(t *testing.T) {
	for _, args := range [][]string{nil, {"main.go", filepath.Join(t.TempDir(), "x")}, {"nothing", "x"}} {
		if err := run(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

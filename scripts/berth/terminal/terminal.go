// Package terminal keeps a library from asking the terminal for its background colour.
//
// Pulumi's SDK brings bubbletea, which asks as soon as a program starts. A terminal that
// does not answer (one of a container, script or expect) costs five seconds, and what is
// typed meanwhile is lost. Nothing here paints with it.
//
// It is imported for its effect, which comes in time: Go initialises packages in the order
// of their import paths, as far as they do not need each other.
package terminal

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }

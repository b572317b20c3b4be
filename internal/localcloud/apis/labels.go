package apis

import (
	"maps"
	"regexp"
	"slices"
)

// Google's rules for labels, after
// https://cloud.google.com/resource-manager/docs/labels-overview#requirements.
var (
	labelKeyPattern   = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValuePattern = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

const maxLabels = 64

func checkLabels(v *violations, field string, labels map[string]string) {
	if len(labels) > maxLabels {
		v.add(field, "%d labels are too many; the most is %d", len(labels), maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !labelKeyPattern.MatchString(key) {
			v.add(field, "Label key %q must begin with a lower-case letter and have at most 63 lower-case letters, digits, underscores and hyphens", key)
		}
		if !labelValuePattern.MatchString(labels[key]) {
			v.add(field, "Value %q of label %q must have at most 63 lower-case letters, digits, underscores and hyphens", labels[key], key)
		}
	}
}

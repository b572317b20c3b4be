package provider

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Labels are not authoritative: the plugin manages the keys that it was given
// and leaves the others. labels is what the program gave, pulumiLabels adds the
// provider's own, effectiveLabels is all that the resource has. Annotations are
// the same with nothing added. In properties that are ready for the API, the
// effective ones are what is sent.
const (
	labels               = "labels"
	pulumiLabels         = "pulumiLabels"
	effectiveLabels      = "effectiveLabels"
	annotations          = "annotations"
	effectiveAnnotations = "effectiveAnnotations"
)

// withLabels sets what a plan from old (empty for a new resource) makes of the
// program's labels and annotations.
func (t *resourceType) withLabels(props, old resource.PropertyMap, set settings) {
	switch {
	case t.labelled && isUnknown(props[labels]):
		props[pulumiLabels], props[effectiveLabels] = unknown, unknown
	case t.labelled:
		want := resource.PropertyMap{}
		for k, v := range set.labels {
			setText(want, k, v)
		}
		merge(want, objectAt(props, labels))
		setObject(props, pulumiLabels, want)
		setObject(props, effectiveLabels, reconcile(objectAt(old, effectiveLabels), objectAt(old, pulumiLabels), want))
	}
	switch {
	case t.annotated && isUnknown(props[annotations]):
		props[effectiveAnnotations] = unknown
	case t.annotated:
		want := objectAt(props, annotations)
		setObject(props, effectiveAnnotations, reconcile(objectAt(old, effectiveAnnotations), objectAt(old, annotations), want))
	}
}

// labelsFromAPI sets what of the API's labels the state shows, given the
// properties before.
func (t *resourceType) labelsFromAPI(state, before resource.PropertyMap, object map[string]any) {
	if t.labelled {
		all := textMap(object[labels])
		setObject(state, effectiveLabels, all)
		setObject(state, pulumiLabels, only(all, objectAt(before, pulumiLabels)))
		if mine := only(all, objectAt(before, labels)); len(mine) > 0 {
			setObject(state, labels, mine)
		}
	}
	if t.annotated {
		all := textMap(object[annotations])
		setObject(state, effectiveAnnotations, all)
		if mine := only(all, objectAt(before, annotations)); len(mine) > 0 {
			setObject(state, annotations, mine)
		}
	}
}

// reconcile takes what was managed out of all and puts what is wanted in.
func reconcile(all, managed, want resource.PropertyMap) resource.PropertyMap {
	result := resource.PropertyMap{}
	for k, v := range all {
		if _, mine := managed[k]; !mine {
			result[k] = v
		}
	}
	merge(result, want)
	return result
}

func merge(into, from resource.PropertyMap) {
	for k, v := range from {
		into[k] = v
	}
}

func only(all, keys resource.PropertyMap) resource.PropertyMap {
	result := resource.PropertyMap{}
	for k := range keys {
		if v, ok := all[k]; ok {
			result[k] = v
		}
	}
	return result
}

func setObject(props resource.PropertyMap, key string, object resource.PropertyMap) {
	props[resource.PropertyKey(key)] = resource.NewObjectProperty(object)
}

func textMap(v any) resource.PropertyMap {
	result := resource.PropertyMap{}
	m, _ := v.(map[string]any)
	for k, v := range m {
		if s, ok := v.(string); ok {
			setText(result, k, s)
		}
	}
	return result
}

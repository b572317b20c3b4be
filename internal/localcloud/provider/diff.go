package provider

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// differences between a resource as it is and as the program wants it, by
// property path.
type differences struct {
	traits  traits
	changes map[string]*pulumirpc.PropertyDiff
	// top holds the top-level properties that differ, and replaces those of
	// them that need a new resource.
	top, replaces map[string]bool
}

// where a comparison stands: the top-level property, the path a person reads,
// the path the traits are at, and whether a change here replaces.
type position struct {
	top, at, path string
	replace       bool
}

func (p position) property(t traits, name string) position {
	p.at, p.path = child(p.at, name), child(p.path, name)
	if p.top == "" {
		p.top = name
	}
	p.replace = p.replace || t[p.path].replace
	return p
}

func (p position) element(i int) position {
	p.at, p.path = fmt.Sprintf("%s[%d]", p.at, i), element(p.path)
	return p
}

func (p position) entry(k string) position {
	// The quoted form, since label keys hold dots and slashes.
	p.at, p.path = fmt.Sprintf("%s[%q]", p.at, k), entry(p.path)
	return p
}

// diff compares state, as last read, with checked inputs.
func diff(t *resourceType, inputs, state resource.PropertyMap, set settings) *differences {
	d := &differences{
		traits:   t.traits,
		changes:  map[string]*pulumirpc.PropertyDiff{},
		top:      map[string]bool{},
		replaces: map[string]bool{},
	}
	d.object(position{}, t.inputs, state, inputs)
	if t.labelled && !d.top[labels] {
		// The provider's own labels were changed, or were taken off by hand.
		want := t.desired(inputs, state, set)
		d.compare(position{top: pulumiLabels, at: pulumiLabels, path: pulumiLabels}, t.outputs.props[pulumiLabels].schema,
			state[pulumiLabels], want[pulumiLabels])
	}
	return d
}

func (d *differences) add(p position, plain, replacing pulumirpc.PropertyDiff_Kind) {
	kind := plain
	if p.replace {
		kind = replacing
		d.replaces[p.top] = true
	}
	d.changes[p.at] = &pulumirpc.PropertyDiff{Kind: kind}
	d.top[p.top] = true
}

func (d *differences) added(p position) {
	d.add(p, pulumirpc.PropertyDiff_ADD, pulumirpc.PropertyDiff_ADD_REPLACE)
}

func (d *differences) deleted(p position) {
	d.add(p, pulumirpc.PropertyDiff_DELETE, pulumirpc.PropertyDiff_DELETE_REPLACE)
}

func (d *differences) updated(p position) {
	d.add(p, pulumirpc.PropertyDiff_UPDATE, pulumirpc.PropertyDiff_UPDATE_REPLACE)
}

// compare tells old from new; null is absent. Absent and zero are one to the
// plugin, in both directions, and what the API computes may stay unsaid.
func (d *differences) compare(p position, s *schema, old, new resource.PropertyValue) {
	old, new = d.traits[p.path].heard(old), d.traits[p.path].heard(new)
	switch {
	case new.IsNull():
		if !isZero(old) && !d.traits[p.path].computed {
			d.deleted(p)
		}
	case isUnknown(new):
		if old.IsNull() {
			d.added(p)
		} else {
			d.updated(p)
		}
	case d.traits[p.path].oneWay && old.IsBool() && old.BoolValue():
	case old.IsNull() && isZero(new):
	case old.IsNull():
		d.added(p)
	case s.kind == objectKind && old.IsObject() && new.IsObject():
		d.object(p, s, old.ObjectValue(), new.ObjectValue())
	case s.kind == mapKind && old.IsObject() && new.IsObject():
		d.entries(p, s, old.ObjectValue(), new.ObjectValue())
	case s.kind == listKind && old.IsArray() && new.IsArray() && d.traits[p.path].set:
		d.set(p, s, old.ArrayValue(), new.ArrayValue())
	case s.kind == listKind && old.IsArray() && new.IsArray():
		d.list(p, s, old.ArrayValue(), new.ArrayValue())
	case !d.same(p.path, old, new):
		d.updated(p)
	}
}

func (d *differences) same(path string, old, new resource.PropertyValue) bool {
	if equal := d.traits[path].same; equal != nil && old.IsString() && new.IsString() {
		return equal(old.StringValue(), new.StringValue())
	}
	return old.DeepEquals(new)
}

func (d *differences) object(p position, s *schema, old, new resource.PropertyMap) {
	for _, name := range s.names() {
		key := resource.PropertyKey(name)
		d.compare(p.property(d.traits, name), s.props[name].schema, old[key], new[key])
	}
}

func (d *differences) entries(p position, s *schema, old, new resource.PropertyMap) {
	both := resource.PropertyMap{}
	merge(both, old)
	merge(both, new)
	for _, k := range both.StableKeys() {
		was, had := old[k]
		is, has := new[k]
		switch at := p.entry(string(k)); {
		case !had:
			d.added(at) // an empty value is a value here
		case !has:
			d.deleted(at)
		default:
			d.compare(at, s.elem, was, is)
		}
	}
}

func (d *differences) list(p position, s *schema, old, new []resource.PropertyValue) {
	for i := range max(len(old), len(new)) {
		switch at := p.element(i); {
		case i >= len(old):
			d.added(at)
		case i >= len(new):
			d.deleted(at)
		default:
			d.compare(at, s.elem, old[i], new[i])
		}
	}
}

// set pairs elements by their key, or whole, whatever their order.
func (d *differences) set(p position, s *schema, old, new []resource.PropertyValue) {
	key := resource.PropertyKey(d.traits[p.path].key)
	pairs := func(a, b resource.PropertyValue) bool {
		if key != "" && a.IsObject() && b.IsObject() {
			return a.ObjectValue()[key].DeepEquals(b.ObjectValue()[key])
		}
		return d.same(element(p.path), a, b)
	}
	var left []int
	for i := range old {
		left = append(left, i)
	}
	for i, is := range new {
		at := slices.IndexFunc(left, func(j int) bool { return pairs(old[j], is) })
		if at < 0 {
			d.added(p.element(i))
			continue
		}
		d.compare(p.element(i), s.elem, old[left[at]], is)
		left = slices.Delete(left, at, at+1)
	}
	for _, j := range left {
		if d.changes[p.element(j).at] != nil {
			d.updated(p.element(j)) // one went, another came in its place
		} else {
			d.deleted(p.element(j))
		}
	}
}

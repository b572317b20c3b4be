package provider

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// restAPI is a resource with a REST collection in Google's style. Templates hold
// property names in braces; one that begins with a plus holds slashes.
type restAPI struct {
	endpoint setting
	version  string // put before each path: "v1/" where the endpoint lacks it
	idOf     string // "projects/{project}/locations/{location}/services/{name}"
	path     string // where the object is; "": at its id
	// shortIDs are what `pulumi import` takes besides the id.
	shortIDs []string
	// collection is what is posted to, with a query that names the new one.
	collection string
	// newBody and changeBody wrap the object for creating and updating; nil
	// sends it bare.
	newBody    func(props resource.PropertyMap, body map[string]any) any
	changeBody func(body map[string]any, mask []string) any
	// whole: a change puts the whole object in the place of the old one.
	whole bool
	// maskInQuery puts the changed fields in ?updateMask=.
	maskInQuery bool
	// changeAside updates what the API has methods of its own for.
	changeAside func(ctx context.Context, c *client, self string, props resource.PropertyMap, changed []string) error
	// assigned is the property of a new object that is its id, where the API
	// has the say.
	assigned string
	// hides: the API says 403 of what is not there.
	hides bool
	// ignoreExisting names the property that makes creating what is already
	// there no error.
	ignoreExisting string
	// longCreate, longUpdate and longDelete say which calls answer with an
	// operation.
	longCreate, longUpdate, longDelete bool
}

var placeholder = regexp.MustCompile(`\{(\+?)(\w+)\}`)

func expand(template string, props resource.PropertyMap, escape func(string) string) (string, error) {
	var missing []string
	expanded := placeholder.ReplaceAllStringFunc(template, func(p string) string {
		name, whole := strings.CutPrefix(p[1:len(p)-1], "+")
		value := text(props, name)
		if value == "" {
			missing = append(missing, name)
		}
		if whole {
			return value
		}
		return escape(value)
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("%s has no value: set it on the resource or in the provider's configuration", strings.Join(missing, ", "))
	}
	return expanded, nil
}

func unescaped(s string) string { return s }

func (r *restAPI) id(props resource.PropertyMap) (string, error) {
	return expand(r.idOf, props, unescaped)
}

func (r *restAPI) parse(id string) (resource.PropertyMap, error) {
	return parseID(id, append([]string{r.idOf}, r.shortIDs...)...)
}

// parseID takes id apart by the first template that it fits.
func parseID(id string, templates ...string) (resource.PropertyMap, error) {
	for _, template := range templates {
		re := regexp.MustCompile("^" + placeholder.ReplaceAllStringFunc(template, func(p string) string {
			if name, whole := strings.CutPrefix(p[1:len(p)-1], "+"); whole {
				return `(?P<` + name + `>[^ ]+)`
			}
			return `(?P<` + p[1:len(p)-1] + `>[^/ ]+)`
		}) + "$")
		groups := re.FindStringSubmatch(id)
		if groups == nil {
			continue
		}
		props := resource.PropertyMap{}
		for i, name := range re.SubexpNames() {
			if name != "" {
				setText(props, name, groups[i])
			}
		}
		return props, nil
	}
	return nil, fmt.Errorf("id %q is not of the form %s", id, strings.Join(templates, " or "))
}

func (r *restAPI) self(c *client, props resource.PropertyMap) (string, error) {
	path, err := expand(cmp.Or(r.path, r.idOf), props, url.PathEscape)
	return c.url(r.endpoint, r.version+path), err
}

func (r *restAPI) create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (string, error) {
	id, err := r.id(props)
	if err != nil && r.assigned == "" {
		return "", err
	}
	body, err := t.body(props)
	if err != nil {
		return id, err
	}
	path, err := expand(r.collection, props, url.PathEscape)
	if err != nil {
		return id, err
	}
	var payload any = body
	if r.newBody != nil {
		payload = r.newBody(props, body)
	}
	answer, err := c.call(ctx, http.MethodPost, c.url(r.endpoint, r.version+path), payload)
	if hasCode(err, http.StatusConflict) && isTrue(props, r.ignoreExisting) {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	if r.longCreate {
		if err := c.await(ctx, c.url(r.endpoint, r.version), answer); err != nil {
			return id, err
		}
	}
	if r.assigned == "" {
		return id, nil
	}
	return assignedID(r.assigned, answer)
}

// assignedID takes an id from what was answered to a creation: the object, or
// an operation that has ended with it.
func assignedID(property string, answer map[string]any) (string, error) {
	if response, ended := answer["response"].(map[string]any); ended {
		answer = response
	}
	id, _ := answer[property].(string)
	if id == "" {
		return "", fmt.Errorf("the API answered with no %s", property)
	}
	return id, nil
}

func (r *restAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	self, err := r.self(c, props)
	if err != nil {
		return nil, err
	}
	object, err := c.call(ctx, http.MethodGet, self, nil)
	if r.hides && hasCode(err, http.StatusForbidden) {
		return nil, &apiError{Code: http.StatusNotFound, Message: err.Error()}
	}
	return object, err
}

func (r *restAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error {
	self, err := r.self(c, props)
	if err != nil {
		return err
	}
	if mask := t.mask(changed); len(mask) > 0 {
		if err := r.patch(ctx, c, t, self, props, mask); err != nil {
			return err
		}
	}
	if r.changeAside == nil {
		return nil
	}
	return r.changeAside(ctx, c, self, props, changed)
}

func (r *restAPI) patch(ctx context.Context, c *client, t *resourceType, self string, props resource.PropertyMap, mask []string) error {
	body, err := t.body(props)
	if err != nil {
		return err
	}
	var payload any = body
	if r.changeBody != nil {
		payload = r.changeBody(body, mask)
	}
	if r.maskInQuery {
		self += "?updateMask=" + url.QueryEscape(strings.Join(mask, ","))
	}
	method := http.MethodPatch
	if r.whole {
		method = http.MethodPut
	}
	answer, err := c.call(ctx, method, self, payload)
	if err != nil || !r.longUpdate {
		return err
	}
	return c.await(ctx, c.url(r.endpoint, r.version), answer)
}

// mask is the API's names of those changed properties that are in its object.
func (t *resourceType) mask(changed []string) []string {
	var mask []string
	for _, name := range changed {
		switch {
		case name == pulumiLabels || name == effectiveLabels:
			name = labels
		case t.traits[name].place != inBody || t.traits[name].outputOnly || t.traits[name].apart:
			continue
		}
		mask = append(mask, t.traits.apiNameOf(name, name))
	}
	slices.Sort(mask)
	return slices.Compact(mask)
}

func (r *restAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	self, err := r.self(c, state)
	if err != nil {
		return err
	}
	answer, err := c.call(ctx, http.MethodDelete, self, nil)
	if err != nil || !r.longDelete {
		return err
	}
	return c.await(ctx, c.url(r.endpoint, r.version), answer)
}

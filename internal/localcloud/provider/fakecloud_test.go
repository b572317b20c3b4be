package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// fakeCloud is a small stateful cloud in REST. Bodies go through Google's own
// protos, so a field that the API does not have is refused and a zero is
// dropped, as in the real one.
type fakeCloud struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	objects  map[string]proto.Message  // run services and repositories, by name
	accounts map[string]map[string]any // by e-mail
	enabled  map[string]bool
	policies map[string]map[string]any
	policyAt int
	// running operations, by name: the polls left until it is done, and how it
	// fails.
	operations map[string]*fakeOperation
	calls      []string
	bodies     map[string]string // the last body by "METHOD path"
	tokens     map[string]bool
	failDeploy string
	// conflicts makes that many setIamPolicy lose to another writer.
	conflicts int
}

type fakeOperation struct {
	polls   int
	failure string
}

func newFakeCloud(t *testing.T) *fakeCloud {
	t.Helper()
	f := &fakeCloud{
		t:          t,
		objects:    map[string]proto.Message{},
		accounts:   map[string]map[string]any{},
		enabled:    map[string]bool{},
		policies:   map[string]map[string]any{},
		operations: map[string]*fakeOperation{},
		bodies:     map[string]string{},
		tokens:     map[string]bool{},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeCloud) config() map[string]any { return configOf(f.URL) }

// configOf is the provider's configuration for a cloud at a URL.
func configOf(url string) map[string]any {
	return map[string]any{
		"project":                        "p1",
		"region":                         "europe-west1",
		"accessToken":                    "local-token",
		"skipRegionValidation":           "true",
		"cloudRunV2CustomEndpoint":       url + "/v2/",
		"artifactRegistryCustomEndpoint": url + "/v1/",
		"iamCustomEndpoint":              url + "/",
		"secretManagerCustomEndpoint":    url + "/v1/",
		"storageCustomEndpoint":          url + "/storage/v1/",
		"resourceManagerCustomEndpoint":  url + "/",
		"serviceUsageCustomEndpoint":     url + "/",
		"cloudIdentityCustomEndpoint":    url + "/v1/",
		"kmsCustomEndpoint":              url + "/v1/",
		"loggingCustomEndpoint":          url + "/v2/",
		"monitoringCustomEndpoint":       url + "/",
		"billingCustomEndpoint":          url + "/v1/",
	}
}

// count is how many calls so far start with prefix ("PATCH /v2/").
func (f *fakeCloud) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// run gives the stored service to change behind the provider's back.
func (f *fakeCloud) run(name string, change func(*runpb.Service)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.objects["/v2/projects/p1/locations/europe-west1/services/"+name].(*runpb.Service))
}

func (f *fakeCloud) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	call := r.Method + " " + r.URL.Path
	f.calls = append(f.calls, call)
	f.bodies[call] = string(body)
	f.tokens[r.Header.Get("Authorization")] = true
	path := r.URL.Path
	switch {
	case strings.Contains(path, "/operations/"):
		f.pollOperation(w, path)
	case strings.HasSuffix(path, "IamPolicy"):
		f.policy(w, r, body)
	case strings.Contains(path, "/serviceAccounts"):
		f.account(w, r, body)
	case strings.HasPrefix(path, "/v2/") || strings.Contains(path, "/repositories"):
		f.object(w, r, body)
	case strings.HasPrefix(path, "/v1/projects/p1/services"):
		f.usage(w, r)
	case path == "/v1/projects/p1":
		answerJSON(w, map[string]any{"projectId": "p1", "projectNumber": "4711", "name": "Project One",
			"parent": map[string]any{"type": "organization", "id": "99"}, "labels": map[string]any{"team": "x"}})
	default:
		refuse(w, 404, "no such path "+path)
	}
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func answerProto(w http.ResponseWriter, m proto.Message) {
	encoded, _ := protojson.Marshal(m)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encoded)
}

func refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": code, "message": message, "status": "SOME_STATUS",
		"details": []any{map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest",
			"fieldViolations": []any{map[string]any{"field": "some.field", "description": message}}}},
	}})
}

func (f *fakeCloud) startOperation(w http.ResponseWriter, parent, failure string) {
	name := fmt.Sprintf("%s/operations/op%d", parent, len(f.operations))
	f.operations[name] = &fakeOperation{polls: 2, failure: failure}
	answerJSON(w, map[string]any{"name": strings.TrimPrefix(strings.TrimPrefix(name, "/v1/"), "/v2/")})
}

func (f *fakeCloud) pollOperation(w http.ResponseWriter, path string) {
	operation := f.operations[path]
	if operation == nil {
		refuse(w, 404, "no operation "+path)
		return
	}
	operation.polls--
	answer := map[string]any{"name": path[4:], "done": operation.polls <= 0}
	if operation.polls <= 0 && operation.failure != "" {
		answer["error"] = map[string]any{"code": 9, "message": operation.failure}
	}
	answerJSON(w, answer)
}

func parentOf(path string) string {
	before, _, _ := strings.Cut(path, "/services")
	before, _, _ = strings.Cut(before, "/repositories")
	return before
}

func (f *fakeCloud) object(w http.ResponseWriter, r *http.Request, body []byte) {
	path := r.URL.Path
	if r.Method == http.MethodPost {
		path += "/" + r.URL.Query().Get("serviceId") + r.URL.Query().Get("repository_id")
		if f.objects[path] != nil {
			refuse(w, 409, "Resource '"+path+"' already exists.")
			return
		}
	} else if f.objects[path] == nil {
		refuse(w, 404, "Resource '"+path+"' was not found.")
		return
	}
	switch r.Method {
	case http.MethodGet:
		answerProto(w, f.objects[path])
	case http.MethodDelete:
		delete(f.objects, path)
		delete(f.policies, path)
		f.startOperation(w, parentOf(path), "")
	default:
		f.store(w, r, path, body)
	}
}

func (f *fakeCloud) store(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	if strings.HasPrefix(path, "/v2/") {
		service := &runpb.Service{}
		if err := protojson.Unmarshal(body, service); err != nil {
			refuse(w, 400, "Invalid JSON payload received. "+err.Error())
			return
		}
		f.deploy(path, service)
		f.startOperation(w, parentOf(path), f.failDeploy)
		return
	}
	repository := &artifactregistrypb.Repository{}
	if err := protojson.Unmarshal(body, repository); err != nil {
		refuse(w, 400, "Invalid JSON payload received. "+err.Error())
		return
	}
	repository.Name = path[4:]
	if r.Method == http.MethodPatch {
		f.patchRepository(w, path, repository, r.URL.Query().Get("updateMask"))
		return
	}
	f.objects[path] = repository
	f.startOperation(w, parentOf(path), "")
}

func (f *fakeCloud) patchRepository(w http.ResponseWriter, path string, change *artifactregistrypb.Repository, mask string) {
	repository := f.objects[path].(*artifactregistrypb.Repository)
	for _, field := range strings.Split(mask, ",") {
		switch field {
		case "description":
			repository.Description = change.Description
		case "labels":
			repository.Labels = change.Labels
		case "cleanupPolicies":
			repository.CleanupPolicies = change.CleanupPolicies
		default:
			refuse(w, 400, "no field "+field)
			return
		}
	}
	answerProto(w, repository)
}

// deploy stores a service with what the platform fills in.
func (f *fakeCloud) deploy(path string, s *runpb.Service) {
	s.Name = path[4:]
	s.Uid, s.Etag = "uid-1", fmt.Sprintf("etag-%d", len(f.calls))
	if old, ok := f.objects[path].(*runpb.Service); ok {
		s.Generation = old.Generation
	}
	s.Generation++
	s.Uri = "http://127.0.0.1:1/" + path
	s.Urls = []string{s.Uri}
	s.LatestReadyRevision = fmt.Sprintf("%s/revisions/r%d", s.Name, s.Generation)
	s.TerminalCondition = &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED}
	if s.Ingress == runpb.IngressTraffic_INGRESS_TRAFFIC_UNSPECIFIED {
		s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_ALL
	}
	s.LaunchStage = 4 // GA
	if proto.Size(s.Scaling) == 0 {
		s.Scaling = nil // the zero is dropped, and the message with it
	}
	if len(s.Traffic) == 0 {
		s.Traffic = []*runpb.TrafficTarget{{Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, Percent: 100}}
	}
	template := s.Template
	if template.MaxInstanceRequestConcurrency == 0 {
		template.MaxInstanceRequestConcurrency = 80
	}
	if template.Timeout == nil {
		template.Timeout = durationpb.New(300e9)
	}
	if template.Scaling == nil {
		template.Scaling = &runpb.RevisionScaling{MaxInstanceCount: 100}
	}
	for _, c := range template.Containers {
		if c.Resources == nil {
			c.Resources = &runpb.ResourceRequirements{CpuIdle: true}
		}
		if c.Resources.Limits == nil {
			c.Resources.Limits = map[string]string{"cpu": "1000m", "memory": "512Mi"}
		}
		if c.Ports == nil {
			c.Ports = []*runpb.ContainerPort{{ContainerPort: 8080}}
		}
		if c.Ports[0].Name == "" {
			c.Ports[0].Name = "http1"
		}
		if c.StartupProbe == nil {
			c.StartupProbe = &runpb.Probe{TimeoutSeconds: 240, PeriodSeconds: 240, FailureThreshold: 1,
				ProbeType: &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{Port: 8080}}}
		}
	}
	f.objects[path] = s
}

func (f *fakeCloud) policy(w http.ResponseWriter, r *http.Request, body []byte) {
	on, verb, _ := strings.Cut(r.URL.Path, ":")
	if f.objects[on] == nil {
		refuse(w, 404, "Resource '"+on+"' was not found.")
		return
	}
	policy := f.policies[on]
	if policy == nil {
		policy = map[string]any{"etag": "ACAB"}
	}
	if verb == "setIamPolicy" {
		var req struct{ Policy map[string]any }
		if err := json.Unmarshal(body, &req); err != nil {
			refuse(w, 400, err.Error())
			return
		}
		if f.conflicts > 0 {
			f.conflicts--
			f.policyAt++
			policy["etag"] = fmt.Sprintf("etag%d", f.policyAt)
			f.policies[on] = policy
		}
		if req.Policy["etag"] != policy["etag"] {
			refuse(w, 409, "There were concurrent policy changes.")
			return
		}
		f.policyAt++
		policy = req.Policy
		policy["etag"] = fmt.Sprintf("etag%d", f.policyAt)
		f.policies[on] = policy
	}
	answerJSON(w, policy)
}

func (f *fakeCloud) account(w http.ResponseWriter, r *http.Request, body []byte) {
	var req struct {
		AccountID      string         `json:"accountId"`
		ServiceAccount map[string]any `json:"serviceAccount"`
	}
	_ = json.Unmarshal(body, &req)
	_, email, _ := strings.Cut(r.URL.Path, "/serviceAccounts/")
	email, verb, _ := strings.Cut(email, ":")
	if r.Method == http.MethodPost && verb == "" {
		email = req.AccountID + "@p1.iam.gserviceaccount.com"
		if f.accounts[email] != nil {
			refuse(w, 409, "Service account "+req.AccountID+" already exists within project projects/p1.")
			return
		}
		f.accounts[email] = map[string]any{"name": "projects/p1/serviceAccounts/" + email, "email": email,
			"uniqueId": "100", "projectId": "p1", "displayName": req.ServiceAccount["displayName"]}
	}
	account := f.accounts[email]
	switch {
	case account == nil:
		refuse(w, 404, "Unknown service account")
		return
	case verb != "":
		account["disabled"] = verb == "disable"
	case r.Method == http.MethodPatch:
		for k, v := range req.ServiceAccount {
			account[k] = v
		}
	case r.Method == http.MethodDelete:
		delete(f.accounts, email)
		account = map[string]any{}
	}
	answerJSON(w, account)
}

func (f *fakeCloud) usage(w http.ResponseWriter, r *http.Request) {
	_, name, _ := strings.Cut(r.URL.Path, "/services/")
	name, verb, _ := strings.Cut(name, ":")
	switch verb {
	case "enable", "disable":
		f.enabled[name] = verb == "enable"
		answerJSON(w, map[string]any{"name": "operations/noop.DONE_OPERATION", "done": true})
	default:
		// Two pages, to see that both are read.
		if r.URL.Query().Get("pageToken") == "" {
			answerJSON(w, map[string]any{"services": []any{map[string]any{"name": "projects/4711/services/other.googleapis.com"}}, "nextPageToken": "2"})
			return
		}
		services := []any{}
		for name, on := range f.enabled {
			if on {
				services = append(services, map[string]any{"name": "projects/4711/services/" + name, "state": "ENABLED"})
			}
		}
		answerJSON(w, map[string]any{"services": services})
	}
}

package apis

import (
	"fmt"
	"regexp"

	"cloud.google.com/go/run/apiv2/runpb"
)

// Names of what a service stands on, as Cloud Run's protos give them. A network
// may be named by its last part.
var (
	encryptionKeyPattern  = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)
	connectorPattern      = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/connectors/[^/]+$`)
	networkPattern        = regexp.MustCompile(`^(projects/[^/]+/global/networks/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subnetworkPattern     = regexp.MustCompile(`^(projects/[^/]+/regions/[^/]+/subnetworks/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	networkTagPattern     = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	platformPolicyPattern = regexp.MustCompile(`^projects/[^/]+/platforms/cloudRun/[^/]+$`)
)

// checkAudiences: an empty audience would let in a token for nobody.
func checkAudiences(v *violations, audiences []string) {
	seen := map[string]bool{}
	for i, audience := range audiences {
		field := fmt.Sprintf("service.custom_audiences[%d]", i)
		switch {
		case audience == "":
			v.add(field, "A custom audience must not be empty")
		case seen[audience]:
			v.add(field, "%q is given twice", audience)
		}
		seen[audience] = true
	}
}

func checkBinaryAuthorization(v *violations, b *runpb.BinaryAuthorization) {
	if b == nil {
		return
	}
	if b.GetBreakglassJustification() != "" && !b.GetUseDefault() && b.GetPolicy() == "" {
		v.add("service.binary_authorization.breakglass_justification", "A justification takes use_default or a policy")
	}
	if p := b.GetPolicy(); p != "" && !platformPolicyPattern.MatchString(p) {
		v.add("service.binary_authorization.policy", "%q is not projects/PROJECT/platforms/cloudRun/POLICY", p)
	}
}

// checkEncryptionKey: a key encrypts what is in its own region.
func checkEncryptionKey(v *violations, field, location, key string) {
	if key == "" {
		return
	}
	parts := encryptionKeyPattern.FindStringSubmatch(key)
	switch {
	case parts == nil:
		v.add(field, "%q is not projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY", key)
	case parts[1] != location:
		v.add(field, "The key is in %s; it must be in the service's region, %s", parts[1], location)
	}
}

func checkVPCAccess(v *violations, field string, a *runpb.VpcAccess) {
	if a == nil {
		return
	}
	if !known(runpb.VpcAccess_VpcEgress_name, int32(a.GetEgress())) {
		v.add(field+".egress", "%d is not an egress setting", a.GetEgress())
	}
	interfaces := a.GetNetworkInterfaces()
	switch {
	case a.GetConnector() != "" && len(interfaces) > 0:
		v.add(field, "connector and network_interfaces exclude each other")
	case a.GetConnector() == "" && len(interfaces) == 0:
		v.add(field, "One of connector and network_interfaces is required")
	case len(interfaces) > 1:
		v.add(field+".network_interfaces", "%d network interfaces; there may be one", len(interfaces))
	}
	if c := a.GetConnector(); c != "" && !connectorPattern.MatchString(c) {
		v.add(field+".connector", "%q is not projects/PROJECT/locations/REGION/connectors/CONNECTOR", c)
	}
	for i, n := range interfaces {
		checkNetworkInterface(v, fmt.Sprintf("%s.network_interfaces[%d]", field, i), n)
	}
}

func checkNetworkInterface(v *violations, field string, n *runpb.VpcAccess_NetworkInterface) {
	if n.GetNetwork() == "" && n.GetSubnetwork() == "" {
		v.add(field, "At least one of network and subnetwork is required")
	}
	if n.GetNetwork() != "" && !networkPattern.MatchString(n.GetNetwork()) {
		v.add(field+".network", "%q is not a network's name or projects/PROJECT/global/networks/NETWORK", n.GetNetwork())
	}
	if n.GetSubnetwork() != "" && !subnetworkPattern.MatchString(n.GetSubnetwork()) {
		v.add(field+".subnetwork", "%q is not a subnetwork's name or projects/PROJECT/regions/REGION/subnetworks/SUBNETWORK", n.GetSubnetwork())
	}
	for i, tag := range n.GetTags() {
		if !networkTagPattern.MatchString(tag) {
			v.add(fmt.Sprintf("%s.tags[%d]", field, i), "%q must begin with a lower-case letter and have only lower-case letters, digits and hyphens, at most 63", tag)
		}
	}
}

// checkBoost: Cloud Run boosts an instance, not a container.
func checkBoost(v *violations, field string, containers []*runpb.Container) {
	boosted := 0
	for _, c := range containers {
		if c.GetResources().GetStartupCpuBoost() {
			boosted++
		}
	}
	if boosted != 0 && boosted != len(containers) {
		v.add(field, "startup_cpu_boost must be the same on all containers; it is on %d of %d", boosted, len(containers))
	}
}

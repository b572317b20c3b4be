package client

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	networkName = regexp.MustCompile(`^(projects/[^/]+/global/networks/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subnetName  = regexp.MustCompile(`^(projects/[^/]+/regions/([a-z0-9-]+)/subnetworks/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	networkTag  = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	kmsKey      = regexp.MustCompile(`^projects/[^/]+/locations/([a-z0-9-]+)/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}$`)
	binaryAuth  = regexp.MustCompile(`^projects/[^/]+/platforms/cloudRun/policies/[a-z0-9-]+$`)
	channelName = regexp.MustCompile(`^projects/[^/]+/notificationChannels/[0-9]+$`)
	// A bucket without dots, which would have to be a domain of one's own.
	bucketName = regexp.MustCompile(`^[a-z0-9][-_a-z0-9]{1,61}[a-z0-9]$`)
)

func (a *ServerArgs) platformProblems() []error {
	var c checker
	c.oneOf("ingress", a.Ingress, "all", "internal", "internal-and-cloud-load-balancing")
	c.oneOf("executionEnvironment", a.ExecutionEnvironment, "", "gen1", "gen2")
	for i, audience := range a.Audiences {
		u, err := url.Parse(audience)
		c.want(err == nil && (u.Scheme == "https" && u.Host != "" || u.Scheme == "" && audience != "" && !strings.ContainsAny(audience, " \t,")),
			fmt.Sprintf("audiences[%d]", i), audience, "is not an audience, like https://acme.example.com")
	}
	n := a.Network
	c.want(n.Network == "" || networkName.MatchString(n.Network), "network.network", n.Network, "is not a network's name, or projects/PROJECT/global/networks/NAME")
	subnet := subnetName.FindStringSubmatch(n.Subnetwork)
	c.want(n.Subnetwork == "" || subnet != nil, "network.subnetwork", n.Subnetwork, "is not a subnetwork's name, or projects/PROJECT/regions/REGION/subnetworks/NAME")
	c.want(subnet == nil || subnet[2] == "" || subnet[2] == a.Region, "network.subnetwork", n.Subnetwork, "is in another region than the stack's, %s; name one there", a.Region)
	for i, tag := range n.Tags {
		c.want(networkTag.MatchString(tag), fmt.Sprintf("network.tags[%d]", i), tag, "is not a network tag: want a letter, then letters, digits and hyphens, all lower-case, at most 63")
	}
	c.want(n.used() || len(n.Tags) == 0, "network.tags", strings.Join(n.Tags, ", "), "are of no use without a network; name one, or remove them")
	c.oneOf("network.egress", n.Egress, "private-ranges-only", "all-traffic")
	if a.KMSKey != "" {
		key := kmsKey.FindStringSubmatch(a.KMSKey)
		c.want(key != nil, "kmsKey", a.KMSKey, "is not a key, like projects/my-project/locations/%s/keyRings/berth/cryptoKeys/acme", a.Region)
		c.want(key == nil || key[1] == a.Region, "kmsKey", a.KMSKey, "is in another location than the stack's region, %s; name a key there", a.Region)
	}
	c.want(a.BinaryAuthorization == "" || a.BinaryAuthorization == "default" || binaryAuth.MatchString(a.BinaryAuthorization),
		"binaryAuthorization", a.BinaryAuthorization, "is neither default nor projects/PROJECT/platforms/cloudRun/policies/NAME")
	return c.problems
}

func (a *ServerArgs) dataProblems() []error {
	var c checker
	d := a.Data
	if !d.Enabled {
		return nil
	}
	c.want(bucketName.MatchString(a.bucket()) && !strings.HasPrefix(a.bucket(), "goog") && !strings.Contains(a.bucket(), "google"), "data.bucket", a.bucket(),
		"cannot name a bucket: want 3 to 63 letters, digits, hyphens and underscores, all lower-case, without google; set data.bucket")
	c.want(!d.Versioning || between(d.OldVersionDays, 1, 3650), "data.oldVersionDays", d.OldVersionDays, "is outside 1 to 3650")
	c.want(d.SoftDeleteDays == 0 || between(d.SoftDeleteDays, 7, 90), "data.softDeleteDays", d.SoftDeleteDays, "is neither 0 nor within 7 to 90")
	c.want(between(d.RetentionDays, 0, 3650), "data.retentionDays", d.RetentionDays, "is outside 0 to 3650")
	c.want(d.RetentionDays == 0 || !d.Versioning, "data.retentionDays", d.RetentionDays,
		"is not for a bucket with versioning: what is retained cannot be overwritten, and has no versions; set data.versioning to false, or retentionDays to 0")
	return c.problems
}

func (a *ServerArgs) monitoringProblems() []error {
	var c checker
	m := a.Monitoring
	if !m.Enabled {
		return nil
	}
	for i, channel := range m.Channels {
		c.want(channelName.MatchString(channel), fmt.Sprintf("monitoring.channels[%d]", i), channel,
			"is not a notification channel, like projects/my-project/notificationChannels/123; list them: gcloud beta monitoring channels list")
	}
	for _, limit := range []struct {
		key   string
		value int
	}{{"errors", m.Errors}, {"refused", m.Refused}, {"latency", m.LatencyMS}, {"startFailures", m.Starts}, {"atMaximum", m.AtMaxPeriod}} {
		c.want(limit.value >= 0, "monitoring."+limit.key, limit.value, "is less than 0, which means no alert")
	}
	c.want(m.AtMaxPeriod%60 == 0, "monitoring.atMaximum", m.AtMaxPeriod, "is not in whole minutes, like 300")
	return c.problems
}

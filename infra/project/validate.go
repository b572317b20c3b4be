package project

import (
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/infra/setting"
)

// The forms of names, after the documentation of each service.
var (
	projectID      = regexp.MustCompile(`^([-a-z0-9.]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	projectNumber  = regexp.MustCompile(`^[0-9]{6,19}$`)
	regionName     = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)
	apiName        = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*\.googleapis\.com$`)
	repositoryName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	bucketName     = regexp.MustCompile(`^[A-Za-z0-9][-_.A-Za-z0-9]{0,99}$`)
	channelName    = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	topicName      = regexp.MustCompile(`^projects/[^/]+/topics/[A-Za-z][-A-Za-z0-9_.~+%]{2,254}$`)
	cryptoKey      = regexp.MustCompile(`^projects/([^/]+)/locations/([^/]+)/keyRings/([^/]+)/cryptoKeys/([^/]+)$`)
	billingAccount = regexp.MustCompile(`^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$`)
	currencyCode   = regexp.MustCompile(`^[A-Z]{3}$`)
)

// auditTypes are the kinds of access that Google can log; without configuration it
// logs none of them.
var auditTypes = []string{"ADMIN_READ", "DATA_READ", "DATA_WRITE"}

func isNumber(project string) bool { return projectNumber.MatchString(project) }

// problems collects what is wrong with the configuration.
type problems []error

func (p *problems) check(ok bool, key string, value any, format string, args ...any) {
	if !ok {
		*p = append(*p, setting.Problem(key, value, format, args...))
	}
}

// once reports a name that an earlier entry has.
func (p *problems) once(seen map[string]bool, key, name string) {
	p.check(!seen[name], key, name, "is there twice; keep one of them")
	seen[name] = true
}

func (c Config) validate() []error {
	var p problems
	p.check(projectID.MatchString(c.Project), "gcp:project", c.Project,
		"is not a project id; set it: pulumi config set gcp:project PROJECT")
	p.check(regionName.MatchString(c.Region), "gcp:region", c.Region,
		"is not a region; set it: pulumi config set gcp:region europe-west1")
	for i, api := range c.APIs {
		p.check(apiName.MatchString(api), fmt.Sprintf("apis[%d]", i), api, "is not an API's name; write it like run.googleapis.com")
	}
	c.checkRepository(&p)
	c.checkKeys(&p)
	c.checkLogs(&p)
	c.checkChannels(&p)
	c.checkBudget(&p)
	return p
}

func (c Config) checkRepository(p *problems) {
	r := c.Repository
	p.check(repositoryName.MatchString(r.Name), "sharedRepository.name", r.Name,
		"cannot name a repository: want a letter, then letters, digits and hyphens, all lower-case, at most 63 characters")
	p.check(between(r.Keep, 0, 1000), "sharedRepository.keep", r.Keep, "is outside 0 to 1000")
	p.check(between(r.DeleteAfterDays, 1, 3650), "sharedRepository.deleteAfterDays", r.DeleteAfterDays, "is outside 1 to 3650; to delete nothing, set keep to 0")
	p.check(r.Enabled || len(c.ImageReaders) == 0, "imageReaders", c.ImageReaders, "would read from the shared repository, which is off; set sharedRepository.enabled to true, or remove them")
	seen := map[string]bool{}
	for i, reader := range c.ImageReaders {
		at := fmt.Sprintf("imageReaders[%d]", i)
		p.once(seen, at, reader)
		p.check(reader != c.Project, at, reader, "is this project, whose Cloud Run may read its images already; remove it")
		p.check(projectID.MatchString(reader) || isNumber(reader), at, reader, "is neither a project's id nor its number")
	}
}

func (c Config) checkKeys(p *problems) {
	seen := map[string]bool{}
	for i, key := range c.EncryptionKeys {
		at := fmt.Sprintf("encryptionKeys[%d]", i)
		p.once(seen, at+".key", key.Key)
		p.check(cryptoKey.MatchString(key.Key), at+".key", key.Key,
			"is not a key's full name; write projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
		p.check(len(key.Agents) > 0, at+".agents", "", "names no service that may use the key; there are: %s", strings.Join(agents, ", "))
		for j, name := range key.Agents {
			at := fmt.Sprintf("%s.agents[%d]", at, j)
			p.check(slices.Contains(agents, name), at, name, "is no such service; %s", setting.Instead(name, agents))
			p.check(!slices.Contains(key.Agents[:j], name), at, name, "is there twice; keep one of them")
		}
	}
}

func (c Config) checkLogs(p *problems) {
	seen := map[string]bool{}
	for i, audit := range c.AuditLogs {
		at := fmt.Sprintf("auditLogs[%d]", i)
		p.once(seen, at+".service", audit.Service)
		p.check(apiName.MatchString(audit.Service) || audit.Service == "allServices", at+".service", audit.Service,
			"is not an API's name; write it like secretmanager.googleapis.com, or allServices")
		p.check(len(audit.Types) > 0, at+".types", "", "logs nothing; there are: %s", strings.Join(auditTypes, ", "))
		for j, logType := range audit.Types {
			at := fmt.Sprintf("%s.types[%d]", at, j)
			p.check(slices.Contains(auditTypes, logType), at, logType, "is no type of access; %s", setting.Instead(logType, auditTypes))
			p.check(!slices.Contains(audit.Types[:j], logType), at, logType, "is there twice; keep one of them")
		}
	}
	b := c.LogBucket
	p.check(bucketName.MatchString(b.Name), "logBucket.name", b.Name, "cannot name a log bucket: want letters, digits, hyphens, underscores and periods, at most 100 characters, the first a letter or digit")
	p.check(between(b.RetentionDays, 1, 3650), "logBucket.retentionDays", b.RetentionDays, "is outside Cloud Logging's 1 to 3650 days")
	p.check(strings.TrimSpace(b.Filter) != "", "logBucket.filter", b.Filter, "would copy every log of the project; name what to keep, or remove it for the servers' logs")
}

func (c Config) checkChannels(p *problems) {
	for _, name := range slices.Sorted(maps.Keys(c.Channels)) {
		channel, at := c.Channels[name], "sharedChannels."+name
		p.check(channelName.MatchString(name), at, name, "cannot name a channel: want a letter, then letters, digits and hyphens, all lower-case, at most 63 characters")
		p.check((channel.Email == "") != (channel.Topic == ""), at, strings.TrimSpace(channel.Email+" "+channel.Topic), "must be either an email or a topic")
		p.check(channel.Email == "" || isAddress(channel.Email), at+".email", channel.Email, "is not an e-mail address")
		p.check(channel.Topic == "" || topicName.MatchString(channel.Topic), at+".topic", channel.Topic, "is not a topic's full name; write projects/PROJECT/topics/TOPIC")
	}
}

// maxBudgetChannels is the Budget API's own bound.
const maxBudgetChannels = 5

func (c Config) checkBudget(p *problems) {
	b := c.Budget
	p.check(b.Amount >= 0, "budget.amount", b.Amount, "is less than nothing; 0 means no budget")
	if b.Amount <= 0 {
		return
	}
	p.check(billingAccount.MatchString(b.BillingAccount), "budget.billingAccount", b.BillingAccount,
		"is not a billing account; see which one pays: gcloud billing projects describe %s", c.Project)
	p.check(b.Currency == "" || currencyCode.MatchString(b.Currency), "budget.currency", b.Currency, "is not a currency; write it like EUR, or leave it out for the billing account's own")
	p.check(len(b.Thresholds) > 0, "budget.thresholds", "", "would warn of nothing; write percents, like 50, 90 and 100")
	for i, percent := range b.Thresholds {
		p.check(between(percent, 1, 1000), fmt.Sprintf("budget.thresholds[%d]", i), percent, "is outside 1 to 1000 percent")
	}
	mails := 0
	for _, channel := range c.Channels {
		if channel.Email != "" {
			mails++
		}
	}
	p.check(mails <= maxBudgetChannels, "sharedChannels", mails, "is more e-mail channels than a budget takes, which is %d; use a group's address", maxBudgetChannels)
}

func isAddress(s string) bool {
	parsed, err := mail.ParseAddress(s)
	return err == nil && parsed.Address == s
}

func between(n, low, high int) bool { return low <= n && n <= high }

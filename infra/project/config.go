package project

import (
	"github.com/berth-mcp/berth/infra/setting"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

// Config is a project stack's configuration: complete, validated and with the
// defaults filled in.
type Config struct {
	Project string // Google Cloud project id
	Region  string // of the repository and of the log bucket

	APIs           []string // like run.googleapis.com
	Repository     Repository
	ImageReaders   []string // project ids or numbers
	EncryptionKeys []EncryptionKey
	AuditLogs      []AuditLog
	LogBucket      LogBucket
	Channels       map[string]Channel
	Budget         Budget
}

// Repository is the image repository that clients share.
type Repository struct {
	Enabled         bool   `json:"enabled"`
	Name            string `json:"name"`
	Keep            int    `json:"keep"`            // newest versions of each image, kept whatever their age; 0 deletes nothing
	DeleteAfterDays int    `json:"deleteAfterDays"` // all others
}

// EncryptionKey is a key that Google's services in the project may use.
type EncryptionKey struct {
	Key    string   `json:"key"`    // projects/P/locations/L/keyRings/R/cryptoKeys/K
	Agents []string `json:"agents"` // names in [agents]
}

// AuditLog is what Google logs of the access to a service's data.
type AuditLog struct {
	Service string   `json:"service"` // like secretmanager.googleapis.com
	Types   []string `json:"types"`   // of [auditTypes]
}

// LogBucket keeps logs.
type LogBucket struct {
	Enabled       bool   `json:"enabled"`
	Name          string `json:"name"`          // also the sink's
	RetentionDays int    `json:"retentionDays"` // 1 to 3650
	Filter        string `json:"filter"`        // in Cloud Logging's language
}

// Channel is where alerts are sent. Either Email or Topic is set.
type Channel struct {
	Email string `json:"email"`
	Topic string `json:"topic"` // projects/P/topics/T of Pub/Sub
}

// Budget is what the project may cost in a month before somebody hears of it.
type Budget struct {
	Amount         int    `json:"amount"`   // whole units of the currency; 0: no budget
	Currency       string `json:"currency"` // ISO 4217; empty: the billing account's
	BillingAccount string `json:"billingAccount"`
	Thresholds     []int  `json:"thresholds"` // percent of the amount
}

// Load reads the stack's configuration. Every problem is reported, each naming the
// key, the value and the remedy.
func Load(ctx *pulumi.Context) (Config, error) {
	gcp := config.New(ctx, "gcp")
	r := setting.NewReader(ctx, Keys)
	c := Config{
		Project: gcp.Get("project"),
		Region:  gcp.Get("region"),

		APIs:           r.List("apis"),
		Repository:     setting.Object[Repository](r, "sharedRepository"),
		ImageReaders:   r.List("imageReaders"),
		EncryptionKeys: setting.Object[[]EncryptionKey](r, "encryptionKeys"),
		AuditLogs:      setting.Object[[]AuditLog](r, "auditLogs"),
		LogBucket:      setting.Object[LogBucket](r, "logBucket"),
		Channels:       setting.Object[map[string]Channel](r, "sharedChannels"),
		Budget:         setting.Object[Budget](r, "budget"),
	}
	r.Add(c.validate()...)
	if err := r.Err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

package client

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/secretmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// readable is a secret that the server may read: as Cloud Run names it, at a
// version that does not change unless the deployment does.
type readable struct {
	secret, version pulumi.StringInput
	file            string
}

const accessor = "roles/secretmanager.secretAccessor"

// newSecrets lets the server's account, and through the stack nobody else, read
// each of the secrets. Those with a value are the stack's own.
func (b *builder) newSecrets() (map[string]readable, error) {
	all := map[string]readable{}
	for _, name := range slices.Sorted(maps.Keys(b.args.Secrets)) {
		read := b.existingSecret
		if b.args.Secrets[name].Value != nil {
			read = b.ownSecret
		}
		secret, err := read(name, b.args.Secrets[name])
		if err != nil {
			return nil, err
		}
		secret.file = b.args.Secrets[name].File
		all[name] = secret
	}
	return all, nil
}

// existingSecret adds to whoever may read it already.
func (b *builder) existingSecret(name string, s Secret) (readable, error) {
	project, id := b.args.Project, s.ID
	if found := secretPath.FindStringSubmatch(s.ID); found != nil {
		project, id = found[1], found[2]
	}
	if _, err := secretmanager.NewSecretIamMember(b.Context, b.child("secret-"+name), &secretmanager.SecretIamMemberArgs{
		Project:  pulumi.String(project),
		SecretId: pulumi.String(id),
		Role:     pulumi.String(accessor),
		Member:   b.member(),
	}, b.options([]string{"secretmanager"})...); err != nil {
		return readable{}, err
	}
	return readable{secret: pulumi.String(s.ID), version: pulumi.String(s.Version)}, nil
}

// ownSecret is kept in the stack's region alone. Another value is another version,
// and the one before it is destroyed once the server has moved on.
func (b *builder) ownSecret(name string, s Secret) (readable, error) {
	replica := &secretmanager.SecretReplicationUserManagedReplicaArgs{Location: pulumi.String(b.args.Region)}
	if b.args.KMSKey != "" {
		replica.CustomerManagedEncryption = &secretmanager.SecretReplicationUserManagedReplicaCustomerManagedEncryptionArgs{
			KmsKeyName: pulumi.String(b.args.KMSKey),
		}
	}
	secret, err := secretmanager.NewSecret(b.Context, b.child("secret-"+name), &secretmanager.SecretArgs{
		Project:  pulumi.String(b.args.Project),
		SecretId: pulumi.String(b.args.name() + "-" + name),
		Labels:   b.args.labels(),
		Replication: &secretmanager.SecretReplicationArgs{
			UserManaged: &secretmanager.SecretReplicationUserManagedArgs{
				Replicas: secretmanager.SecretReplicationUserManagedReplicaArray{replica},
			},
		},
	}, b.options([]string{"secretmanager"})...)
	if err != nil {
		return readable{}, err
	}
	version, err := secretmanager.NewSecretVersion(b.Context, b.child("secret-"+name), &secretmanager.SecretVersionArgs{
		Secret:     secret.ID(),
		SecretData: pulumi.ToSecret(s.Value).(pulumi.StringOutput),
	}, pulumi.Parent(b.parent))
	if err != nil {
		return readable{}, err
	}
	if _, err := secretmanager.NewSecretIamBinding(b.Context, b.child("secret-"+name), &secretmanager.SecretIamBindingArgs{
		Project:  pulumi.String(b.args.Project),
		SecretId: secret.SecretId,
		Role:     pulumi.String(accessor),
		Members:  pulumi.StringArray{b.member()},
	}, pulumi.Parent(b.parent)); err != nil {
		return readable{}, err
	}
	return readable{secret: secret.SecretId, version: version.Version}, nil
}

// volumeName is that of the volume with a secret's file.
func volumeName(secret string) string {
	return "secret-" + strings.ReplaceAll(strings.ToLower(secret), "_", "-")
}

// readOnly is the mode of a secret's file: 0444, for who runs in the container is
// not known.
const readOnly = 0o444

// volumes hold the secrets that are files.
func volumes(secrets map[string]readable) cloudrunv2.ServiceTemplateVolumeArray {
	var all cloudrunv2.ServiceTemplateVolumeArray
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		s := secrets[name]
		if s.file == "" {
			continue
		}
		all = append(all, &cloudrunv2.ServiceTemplateVolumeArgs{
			Name: pulumi.String(volumeName(name)),
			Secret: &cloudrunv2.ServiceTemplateVolumeSecretArgs{
				Secret: s.secret,
				Items: cloudrunv2.ServiceTemplateVolumeSecretItemArray{
					&cloudrunv2.ServiceTemplateVolumeSecretItemArgs{
						Path:    pulumi.String(path.Base(s.file)),
						Version: s.version.ToStringOutput(),
						Mode:    pulumi.Int(readOnly),
					},
				},
			},
		})
	}
	return all
}

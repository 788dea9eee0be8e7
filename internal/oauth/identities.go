package oauth

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthprovider"
	"tenantry/ent/user"
	"tenantry/internal/problem"
)

// Linked is an identity that a user has at a provider.
type Linked struct {
	// Provider is the name of the provider, or the id of one that the tenant has deleted.
	Provider, Subject string
	// Own says that the tenant has set the provider up, Active that the identity lets the user in.
	Own, Active bool
}

// Identities returns the identities of a user of the tenant: 404 if there is no such user.
func (o *OAuth) Identities(ctx context.Context, id uuid.UUID) ([]Linked, error) {
	of, err := o.client.User.Query().Where(user.ID(id)).Select(user.FieldOauthProvider, user.FieldOauthID).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	if of.OauthProvider == nil || of.OauthID == nil {
		return nil, nil
	}
	linked, err := o.linked(ctx, *of.OauthProvider, *of.OauthID)
	return []Linked{linked}, err
}

// linked resolves the key of a provider, which is that of upstream.key.
func (o *OAuth) linked(ctx context.Context, key, subject string) (Linked, error) {
	name, _, ofServer := strings.Cut(key, ":")
	linked := Linked{Provider: name, Subject: subject, Own: !ofServer}
	same := oauthprovider.Name(name)
	if id, err := uuid.Parse(key); err == nil {
		same = oauthprovider.ID(id)
	}
	own, err := o.client.OAuthProvider.Query().Where(same).Select(oauthprovider.FieldName,
		oauthprovider.FieldEnabled).All(ctx)
	if err != nil {
		return linked, fmt.Errorf("read the provider of an identity: %w", err)
	}
	if linked.Own && len(own) > 0 {
		linked.Provider, linked.Active = own[0].Name, own[0].Enabled
	}
	// A provider of the tenant takes the place of the server's of that name, also while it is
	// disabled.
	if ofServer && len(own) == 0 {
		for _, p := range o.opts.Providers {
			u := &upstream{Provider: p, ref: p.Name}
			linked.Active = linked.Active || u.key() == key
		}
	}
	return linked, nil
}

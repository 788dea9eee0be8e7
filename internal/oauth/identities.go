package oauth

import (
	"context"
	"fmt"
	"strings"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent/oauthprovider"
	"tenantry/ent/user"
	"tenantry/ent/useridentity"
	"tenantry/internal/problem"
)

// Linked is an identity of a user at a provider.
type Linked struct {
	// Provider is the name of the provider, or the ID of one that the tenant has deleted.
	Provider, Subject string
	// Own reports whether the provider belongs to the tenant, Active whether the user can sign in
	// with the identity now.
	Own, Active bool

	id  uuid.UUID
	key string
}

// identityRow is a user joined with one of their identities, and that with the provider of the
// tenant that it belongs to, or that overrides its provider of the server.
type identityRow struct {
	ID      uuid.NullUUID  `sql:"identity_id"`
	Key     sql.NullString `sql:"provider"`
	Subject sql.NullString `sql:"subject"`
	Name    sql.NullString `sql:"name"`
	Enabled sql.NullBool   `sql:"enabled"`
}

// Identities returns the identities of a user of the tenant, oldest first, in one statement: 404 if
// the user does not exist.
func (o *OAuth) Identities(ctx context.Context, id uuid.UUID) ([]Linked, error) {
	var rows []identityRow
	err := o.client.User.Query().Where(user.ID(id)).Modify(func(s *sql.Selector) {
		i, p := sql.Table(useridentity.Table).As("i"), sql.Table(oauthprovider.Table).As("p")
		s.LeftJoin(i).OnP(sql.And(
			sql.ColumnsEQ(s.C(user.FieldTenantID), i.C(useridentity.FieldTenantID)),
			sql.ColumnsEQ(s.C(user.FieldID), i.C(useridentity.FieldUserID)),
		))
		s.LeftJoin(p).OnP(sql.And(
			sql.ColumnsEQ(i.C(useridentity.FieldTenantID), p.C(oauthprovider.FieldTenantID)),
			sql.P(func(b *sql.Builder) {
				key := i.C(useridentity.FieldProvider)
				b.WriteString("(").Ident(key).WriteString(" = CAST(").Ident(p.C(oauthprovider.FieldID)).
					WriteString(" AS text) OR ").Ident(key).WriteString(" LIKE ").
					Ident(p.C(oauthprovider.FieldName)).WriteString(" || ':%')")
			}),
		))
		s.Select().AppendSelectAs(i.C(useridentity.FieldID), "identity_id")
		s.AppendSelect(i.C(useridentity.FieldProvider), i.C(useridentity.FieldSubject),
			p.C(oauthprovider.FieldName), p.C(oauthprovider.FieldEnabled))
		s.OrderBy(i.C(useridentity.FieldCreatedAt), i.C(useridentity.FieldID))
	}).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	if len(rows) == 0 {
		return nil, problem.NotFound()
	}
	var all []Linked
	for _, row := range rows {
		if row.ID.Valid {
			all = append(all, o.linked(row))
		}
	}
	return all, nil
}

// linked resolves the provider of an identity, whose key is that of upstream.key.
func (o *OAuth) linked(row identityRow) Linked {
	name, _, ofServer := strings.Cut(row.Key.String, ":")
	l := Linked{Provider: name, Subject: row.Subject.String, Own: !ofServer, id: row.ID.UUID, key: row.Key.String}
	if l.Own && row.Name.Valid {
		l.Provider, l.Active = row.Name.String, row.Enabled.Bool
	}
	// A provider of the tenant overrides the server's of the same name, also while it is disabled.
	if ofServer && !row.Name.Valid {
		for _, p := range o.opts.Providers {
			u := &upstream{Provider: p, ref: p.Name}
			l.Active = l.Active || u.key() == l.key
		}
	}
	return l
}

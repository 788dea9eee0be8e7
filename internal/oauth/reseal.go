package oauth

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthprovider"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

const (
	// resealPage is how many client secrets are read at once.
	resealPage = 500
	// resealNamed is how many rows that cannot be decrypted are logged by their id.
	resealNamed = 10
)

// Resealer encrypts under the current secret of the server what was encrypted under the previous
// one, so that the previous one may go. It goes through the providers once, a page at a time, and
// does nothing where there is no previous secret. Two instances whose secrets are each other's
// previous one would otherwise do it in turns.
type Resealer struct {
	oauth *OAuth
	after uuid.UUID
	done  bool
	// resealed and sealed are how many secrets were encrypted again, and how many no secret
	// decrypts.
	resealed, sealed int
}

// NewResealer returns a Resealer that starts with the oldest provider.
func (o *OAuth) NewResealer() *Resealer { return &Resealer{oauth: o, done: !o.opts.Sealer.Rotating()} }

// Run encrypts the rest of the client secrets. After an error the next run goes on with the same
// page.
func (r *Resealer) Run(ctx context.Context) error {
	ctx = principal.System(ctx, "housekeeping: client secrets of every tenant")
	for !r.done {
		if err := r.page(ctx); err != nil {
			return err
		}
		if r.done {
			r.oauth.opts.Log.LogAttrs(ctx, slog.LevelInfo, "client secrets encrypted under the current secret",
				slog.Int("encrypted", r.resealed), slog.Int("unreadable", r.sealed))
		}
	}
	return nil
}

func (r *Resealer) page(ctx context.Context) error {
	rows, err := r.oauth.client.OAuthProvider.Query().Where(oauthprovider.IDGT(r.after),
		oauthprovider.ClientSecretNotNil()).
		Order(oauthprovider.ByID()).Limit(resealPage).Select(oauthprovider.FieldID,
		oauthprovider.FieldClientSecret).All(ctx)
	if err != nil {
		return fmt.Errorf("read client secrets: %w", err)
	}
	for _, row := range rows {
		if err := r.row(ctx, row); err != nil {
			return err
		}
		r.after = row.ID
	}
	r.done = len(rows) < resealPage
	return nil
}

func (r *Resealer) row(ctx context.Context, row *ent.OAuthProvider) error {
	seal := r.oauth.opts.Sealer
	plain, old, err := seal.Open(*row.ClientSecret, row.ID.String())
	if err != nil {
		if r.sealed++; r.sealed <= resealNamed {
			r.oauth.opts.Log.WarnContext(ctx, "client secret cannot be decrypted, set another one", "provider_id",
				row.ID, "error", err)
		}
		return nil
	}
	if !old {
		return nil
	}
	// Not over a secret that was set meanwhile. No cached value changes.
	n, err := r.oauth.client.OAuthProvider.Update().Where(oauthprovider.ID(row.ID),
		oauthprovider.ClientSecret(*row.ClientSecret)).
		SetClientSecret(seal.Seal(plain, row.ID.String())).Save(database.WithoutInvalidation(ctx))
	if err != nil {
		return fmt.Errorf("encrypt client secret again: %w", err)
	}
	r.resealed += n
	return nil
}

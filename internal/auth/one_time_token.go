package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent/onetimetoken"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

// OneTimeToken is what was redeemed.
type OneTimeToken struct {
	TenantID uuid.UUID `sql:"tenant_id"`
	UserID   uuid.UUID `sql:"user_id"`
	// Payload is what was issued with it.
	Payload []byte `sql:"payload"`
}

// StoreOneTimeToken makes a secret of 256 bits speak for the user of the context, once, for a
// purpose, as long as ttl. Its hash is stored.
func (a *Auth) StoreOneTimeToken(ctx context.Context, purpose, token string, payload json.RawMessage,
	ttl time.Duration) error {
	p, _ := principal.FromContext(ctx)
	err := a.client.OneTimeToken.Create().SetPurpose(purpose).SetTokenHash(tokenHash(token)).SetUserID(p.UserID).
		SetPayload(payload).
		SetExpiresAt(a.opts.Clock().Add(ttl)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store one-time token: %w", err)
	}
	return nil
}

// RedeemOneTimeToken ends a token and returns what it was issued for, nil if there is no such token
// any more.
func (a *Auth) RedeemOneTimeToken(ctx context.Context, purpose, token string) (*OneTimeToken, error) {
	redeemed, err := database.DeleteReturning[*OneTimeToken](principal.System(ctx,
		"one-time token: it names the tenant"), a.client, onetimetoken.Table,
		[]string{onetimetoken.FieldTenantID, onetimetoken.FieldUserID, onetimetoken.FieldPayload}, sql.And(
			sql.EQ(onetimetoken.FieldTokenHash, tokenHash(token)), sql.EQ(onetimetoken.FieldPurpose, purpose),
			sql.GT(onetimetoken.FieldExpiresAt, a.opts.Clock()), sql.NotNull(onetimetoken.FieldUserID),
		))
	if err != nil {
		return nil, fmt.Errorf("redeem one-time token: %w", err)
	}
	if len(redeemed) == 0 {
		return nil, nil
	}
	return redeemed[0], nil
}

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

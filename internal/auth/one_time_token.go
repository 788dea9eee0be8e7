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

// OneTimeToken is a redeemed token.
type OneTimeToken struct {
	TenantID uuid.UUID `sql:"tenant_id"`
	UserID   uuid.UUID `sql:"user_id"`
	// Payload is the payload that it was issued with.
	Payload []byte `sql:"payload"`
}

// StoreOneTimeToken stores the hash of a secret of 256 bits, which can be redeemed once for a
// purpose of the user of the context, until ttl has passed.
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

// RedeemOneTimeToken deletes a token and returns it, nil if the token does not exist, has expired
// or was redeemed before.
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

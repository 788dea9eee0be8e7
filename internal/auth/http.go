package auth

import (
	"context"

	"tenantry/internal/api"
	"tenantry/internal/httpapi"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/sessions"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Auth }

// Login answers POST /api/v1/auth/login.
func (h HTTP) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	result, err := h.Auth.Login(ctx, Credentials{
		Tenant: optional(r.Body.Tenant), Email: r.Body.Email, Password: r.Body.Password,
		Device: optional(r.Body.DeviceToken),
	}, sessions.OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return api.Login200JSONResponse{TokensJSONResponse: api.TokensJSONResponse(result.Tokens.Response())}, nil
}

// Register answers POST /api/v1/auth/register.
func (h HTTP) Register(ctx context.Context, r api.RegisterRequestObject) (api.RegisterResponseObject, error) {
	result, err := h.Auth.Register(ctx, optional(r.Body.Tenant), Account{
		Email: r.Body.Email, Password: &r.Body.Password, FullName: optional(r.Body.FullName),
	}, sessions.OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return api.Register201JSONResponse{TokensJSONResponse: api.TokensJSONResponse(result.Tokens.Response())}, nil
}

// ChangePassword answers POST /api/v1/auth/password.
func (h HTTP) ChangePassword(ctx context.Context, r api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject,
	error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	change := PasswordChange{
		Current: r.Body.CurrentPassword, Next: r.Body.NewPassword,
		UnlinkIdentities: r.Body.UnlinkIdentities != nil && *r.Body.UnlinkIdentities,
	}
	if err := h.Auth.ChangePassword(ctx, me, change, sessions.OriginOf(ctx)); err != nil {
		return nil, err
	}
	return api.ChangePassword204Response{}, nil
}

// ShareOf returns the share of the hasher of the principal of ctx.
func ShareOf(ctx context.Context) password.Share {
	ip, _ := httpapi.Client(ctx)
	p, _ := principal.FromContext(ctx)
	return password.Share{Network: ip, Tenant: p.TenantID.String(), Account: p.UserID.String()}
}

func optional(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

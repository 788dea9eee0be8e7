package auth

import (
	"context"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/api"
	"tenantry/internal/httpapi"
	"tenantry/internal/password"
	"tenantry/internal/principal"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Auth }

// Login answers POST /api/v1/auth/login.
func (h HTTP) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	tokens, err := h.Auth.Login(ctx, Credentials{
		Tenant: optional(r.Body.Tenant), Email: r.Body.Email, Password: r.Body.Password, Device: optional(r.Body.DeviceToken),
	}, OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return api.Login200JSONResponse{TokensJSONResponse: api.TokensJSONResponse(tokens.Response())}, nil
}

// Register answers POST /api/v1/auth/register.
func (h HTTP) Register(ctx context.Context, r api.RegisterRequestObject) (api.RegisterResponseObject, error) {
	tokens, err := h.Auth.Register(ctx, optional(r.Body.Tenant), Account{
		Email: r.Body.Email, Password: &r.Body.Password, FullName: optional(r.Body.FullName),
	}, OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return api.Register201JSONResponse{TokensJSONResponse: api.TokensJSONResponse(tokens.Response())}, nil
}

// Refresh answers POST /api/v1/auth/refresh.
func (h HTTP) Refresh(ctx context.Context, r api.RefreshRequestObject) (api.RefreshResponseObject, error) {
	tokens, err := h.Auth.Refresh(ctx, r.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	return api.Refresh200JSONResponse{TokensJSONResponse: api.TokensJSONResponse(tokens.Response())}, nil
}

// Logout answers POST /api/v1/auth/logout.
func (h HTTP) Logout(ctx context.Context, r api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	if err := h.Auth.Logout(ctx, r.Body.RefreshToken); err != nil {
		return nil, err
	}
	return api.Logout204Response{}, nil
}

// LogoutAll answers POST /api/v1/auth/logout-all.
func (h HTTP) LogoutAll(ctx context.Context, _ api.LogoutAllRequestObject) (api.LogoutAllResponseObject, error) {
	me, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.Auth.LogoutAll(ctx, me.ID); err != nil {
		return nil, err
	}
	return api.LogoutAll204Response{}, nil
}

// ListSessions answers GET /api/v1/auth/sessions.
func (h HTTP) ListSessions(ctx context.Context, _ api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	me, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := h.Sessions(ctx, me.User, me.TenantSettings)
	if err != nil {
		return nil, err
	}
	return api.ListSessions200JSONResponse(SessionsResponse(sessions, me.SessionID)), nil
}

// EndSession answers DELETE /api/v1/auth/sessions/{id}.
func (h HTTP) EndSession(ctx context.Context, r api.EndSessionRequestObject) (api.EndSessionResponseObject, error) {
	me, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.Auth.EndSession(ctx, me.ID, r.ID); err != nil {
		return nil, err
	}
	return api.EndSession204Response{}, nil
}

// ChangePassword answers POST /api/v1/auth/password.
func (h HTTP) ChangePassword(ctx context.Context, r api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	me, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	change := PasswordChange{
		Current: r.Body.CurrentPassword, Next: r.Body.NewPassword,
		UnlinkIdentities: r.Body.UnlinkIdentities != nil && *r.Body.UnlinkIdentities,
	}
	if err := h.Auth.ChangePassword(ctx, me, change, OriginOf(ctx)); err != nil {
		return nil, err
	}
	return api.ChangePassword204Response{}, nil
}

// Response is tokens as the API shows them.
func (t *Tokens) Response() api.Tokens {
	var device *string
	if t.Device != "" {
		device = &t.Device
	}
	return api.Tokens{
		DeviceToken: device, AccessToken: t.Access, TokenType: api.Bearer, ExpiresIn: int(t.ExpiresIn.Seconds()), RefreshToken: t.Refresh,
		User: UserResponse(t.User.User),
	}
}

// UserResponse is a user as the API shows them, without related objects.
func UserResponse(u *ent.User) api.User {
	return api.User{
		ID: u.ID, TenantID: u.TenantID, Email: u.Email, EmailVerified: u.EmailVerifiedAt != nil, FullName: u.FullName,
		IsActive: u.IsActive, IsSuperuser: u.IsSuperuser, CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
}

// SessionsResponse is sessions as the API shows them. One of them may be the one that asks.
func SessionsResponse(sessions []*ent.RefreshToken, current uuid.UUID) api.Sessions {
	answer := api.Sessions{Items: make([]api.Session, 0, len(sessions))}
	for _, s := range sessions {
		answer.Items = append(answer.Items, api.Session{
			ID: s.ID, CreatedAt: s.CreatedAt.UTC(), LastUsedAt: s.RotatedAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
			UserAgent: s.UserAgent, IP: s.IP, Current: s.ID == current,
		})
	}
	return answer
}

// OriginOf returns where the request that a handler serves came from.
func OriginOf(ctx context.Context) Origin {
	ip, userAgent := httpapi.Client(ctx)
	return Origin{IP: ip, UserAgent: userAgent}
}

// ShareOf returns the part of the hasher that the principal who acts in ctx has.
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

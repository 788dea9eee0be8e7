package sessions

import (
	"context"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/api"
	"tenantry/internal/httpapi"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Sessions }

// Refresh answers POST /api/v1/auth/refresh.
func (h HTTP) Refresh(ctx context.Context, r api.RefreshRequestObject) (api.RefreshResponseObject, error) {
	tokens, err := h.Sessions.Refresh(ctx, r.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	return api.Refresh200JSONResponse{TokensJSONResponse: api.TokensJSONResponse(tokens.Response())}, nil
}

// Logout answers POST /api/v1/auth/logout.
func (h HTTP) Logout(ctx context.Context, r api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	if err := h.Sessions.Logout(ctx, r.Body.RefreshToken); err != nil {
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
	if err := h.Sessions.LogoutAll(ctx, me.ID); err != nil {
		return nil, err
	}
	return api.LogoutAll204Response{}, nil
}

// ListSessions answers GET /api/v1/auth/sessions.
func (h HTTP) ListSessions(ctx context.Context, _ api.ListSessionsRequestObject) (api.ListSessionsResponseObject,
	error) {
	me, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := h.List(ctx, me.User, me.TenantSettings)
	if err != nil {
		return nil, err
	}
	return api.ListSessions200JSONResponse(ListResponse(sessions, me.CredentialID)), nil
}

// EndSession answers DELETE /api/v1/auth/sessions/{id}.
func (h HTTP) EndSession(ctx context.Context, r api.EndSessionRequestObject) (api.EndSessionResponseObject, error) {
	me, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.End(ctx, me.ID, r.ID); err != nil {
		return nil, err
	}
	return api.EndSession204Response{}, nil
}

// Response is tokens as the API shows them.
func (t *Tokens) Response() api.Tokens {
	var device *string
	if t.Device != "" {
		device = &t.Device
	}
	return api.Tokens{
		DeviceToken: device, AccessToken: t.Access, TokenType: api.Bearer, ExpiresIn: int(t.ExpiresIn.Seconds()),
		RefreshToken: t.Refresh,
		User:         UserResponse(t.User.User),
	}
}

// UserResponse is a user as the API shows them, without related objects.
func UserResponse(u *ent.User) api.User {
	return api.User{
		ID: u.ID, TenantID: u.TenantID, Email: u.Email, EmailVerified: u.EmailVerifiedAt != nil, FullName: u.FullName,
		IsActive: u.IsActive, IsSuperuser: u.IsSuperuser, CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
}

// ListResponse is sessions as the API shows them. One of them may be the one that asks.
func ListResponse(sessions []*ent.RefreshToken, current uuid.UUID) api.Sessions {
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

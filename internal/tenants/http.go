package tenants

import (
	"context"

	"tenantry/ent"
	"tenantry/ent/schema/settings"
	"tenantry/internal/api"
	"tenantry/internal/auth"
	"tenantry/internal/httpapi"
	"tenantry/internal/page"
	"tenantry/internal/sessions"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Tenants }

// GetOwnTenant answers GET /api/v1/tenant.
func (h HTTP) GetOwnTenant(ctx context.Context, _ api.GetOwnTenantRequestObject) (api.GetOwnTenantResponseObject,
	error) {
	own, err := h.Own(ctx)
	if err != nil {
		return nil, err
	}
	return api.GetOwnTenant200JSONResponse{TenantJSONResponse: api.TenantJSONResponse(h.response(own))}, nil
}

// UpdateOwnTenant answers PATCH /api/v1/tenant.
func (h HTTP) UpdateOwnTenant(ctx context.Context,
	r api.UpdateOwnTenantRequestObject) (api.UpdateOwnTenantResponseObject, error) {
	changed, err := h.UpdateOwn(ctx, change(r.Body.Name, r.Body.Settings))
	if err != nil {
		return nil, err
	}
	return api.UpdateOwnTenant200JSONResponse{TenantJSONResponse: api.TenantJSONResponse(h.response(changed))}, nil
}

// ListTenants answers GET /api/v1/tenants.
func (h HTTP) ListTenants(ctx context.Context, r api.ListTenantsRequestObject) (api.ListTenantsResponseObject, error) {
	listed, err := h.List(ctx, page.NewWindow(r.Params.Limit, r.Params.Cursor))
	if err != nil {
		return nil, err
	}
	answer := api.ListTenants200JSONResponse{Body: api.Tenants{Items: make([]api.Tenant, 0, len(listed.Items))}}
	for _, t := range listed.Items {
		answer.Body.Items = append(answer.Body.Items, h.response(t))
	}
	if listed.Next != "" {
		link := httpapi.NextLink(ctx, listed.Next)
		answer.Body.NextCursor, answer.Headers.Link = &listed.Next, &link
	}
	return answer, nil
}

// CreateTenant answers POST /api/v1/tenants.
func (h HTTP) CreateTenant(ctx context.Context, r api.CreateTenantRequestObject) (api.CreateTenantResponseObject,
	error) {
	owner := auth.Account{Email: r.Body.Owner.Email, Password: r.Body.Owner.Password}
	if r.Body.Owner.FullName != nil {
		owner.FullName = *r.Body.Owner.FullName
	}
	created, err := h.Create(ctx, r.Body.Slug, r.Body.Name, owner)
	if err != nil {
		return nil, err
	}
	return api.CreateTenant201JSONResponse{TenantJSONResponse: api.TenantJSONResponse(h.response(created))}, nil
}

// SignUp answers POST /api/v1/signup.
func (h HTTP) SignUp(ctx context.Context, r api.SignUpRequestObject) (api.SignUpResponseObject, error) {
	owner := auth.Account{Email: r.Body.Email, Password: &r.Body.Password}
	if r.Body.FullName != nil {
		owner.FullName = *r.Body.FullName
	}
	result, err := h.Tenants.SignUp(ctx, r.Body.Tenant.Slug, r.Body.Tenant.Name, owner, sessions.OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return api.SignUp201JSONResponse{TokensJSONResponse: api.TokensJSONResponse(result.Tokens.Response())}, nil
}

// GetTenant answers GET /api/v1/tenants/{id}.
func (h HTTP) GetTenant(ctx context.Context, r api.GetTenantRequestObject) (api.GetTenantResponseObject, error) {
	t, err := h.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetTenant200JSONResponse{TenantJSONResponse: api.TenantJSONResponse(h.response(t))}, nil
}

// UpdateTenant answers PATCH /api/v1/tenants/{id}.
func (h HTTP) UpdateTenant(ctx context.Context, r api.UpdateTenantRequestObject) (api.UpdateTenantResponseObject,
	error) {
	changed, err := h.Update(ctx, r.ID, change(r.Body.Name, r.Body.Settings))
	if err != nil {
		return nil, err
	}
	return api.UpdateTenant200JSONResponse{TenantJSONResponse: api.TenantJSONResponse(h.response(changed))}, nil
}

// DeleteTenant answers DELETE /api/v1/tenants/{id}.
func (h HTTP) DeleteTenant(ctx context.Context, r api.DeleteTenantRequestObject) (api.DeleteTenantResponseObject,
	error) {
	if err := h.Delete(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteTenant204Response{}, nil
}

// SuspendTenant answers POST /api/v1/tenants/{id}/suspend.
func (h HTTP) SuspendTenant(ctx context.Context, r api.SuspendTenantRequestObject) (api.SuspendTenantResponseObject,
	error) {
	if err := h.SetActive(ctx, r.ID, false); err != nil {
		return nil, err
	}
	return api.SuspendTenant204Response{}, nil
}

// ResumeTenant answers POST /api/v1/tenants/{id}/resume.
func (h HTTP) ResumeTenant(ctx context.Context, r api.ResumeTenantRequestObject) (api.ResumeTenantResponseObject,
	error) {
	if err := h.SetActive(ctx, r.ID, true); err != nil {
		return nil, err
	}
	return api.ResumeTenant204Response{}, nil
}

func change(name *string, s *api.TenantSettings) Change {
	c := Change{Name: name}
	if s != nil {
		c.Settings = SettingsChange{
			Registration: (*settings.Registration)(s.Registration), PasswordMinLength: s.PasswordMinLength,
			AccessTokenTTL: s.AccessTokenTTL, RefreshTokenTTL: s.RefreshTokenTTL, RefreshIdleTTL: s.RefreshIdleTTL,
			RedirectURIs: s.RedirectUris, LinkByEmail: s.LinkByEmail,
		}
	}
	return c
}

// response returns a tenant with its effective settings: its own or the server's.
func (h HTTP) response(t *ent.Tenant) api.Tenant {
	lifetimes := h.opts.Lifetimes.In(t.Settings)
	effective := api.TenantSettings{
		Registration:      new(api.TenantSettingsRegistration(settings.RegistrationClosed)),
		AccessTokenTTL:    new(int(lifetimes.AccessToken.Seconds())),
		RefreshTokenTTL:   new(int(lifetimes.RefreshToken.Seconds())),
		RefreshIdleTTL:    new(int(lifetimes.RefreshIdle.Seconds())),
		PasswordMinLength: new(t.Settings.MinPassword()),
		RedirectUris:      new(append([]string{}, t.Settings.RedirectURIs...)),
		LinkByEmail:       new(t.Settings.LinkByEmail),
	}
	if t.Settings.RegistrationOpen() {
		*effective.Registration = api.TenantSettingsRegistration(settings.RegistrationOpen)
	}
	return api.Tenant{
		ID: t.ID, Slug: t.Slug, Name: t.Name, IsActive: t.IsActive, CreatedAt: t.CreatedAt.UTC(),
		UpdatedAt: t.UpdatedAt.UTC(),
		Settings:  effective,
	}
}

package users

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/internal/api"
	"tenantry/internal/auth"
	"tenantry/internal/httpapi"
	"tenantry/internal/page"
	"tenantry/internal/sessions"
)

// HTTP serves the operations of this package. Identities returns the identities of a user for a
// response that includes them.
type HTTP struct {
	*Users
	Identities func(ctx context.Context, user uuid.UUID) ([]api.Identity, error)
}

// GetMe answers GET /api/v1/users/me. The projection that authorised the request has all fields of
// the user. Related objects are read only if the client asks for them.
func (h HTTP) GetMe(ctx context.Context, r api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if r.Params.Include == nil {
		return encodedUser{me}, nil
	}
	u, err := h.including(ctx, me.User, related(*r.Params.Include))
	if err != nil {
		return nil, err
	}
	return api.GetMe200JSONResponse{UserJSONResponse: api.UserJSONResponse(u)}, nil
}

// encodedUser is the response of a projection, whose JSON is encoded once.
type encodedUser struct{ *sessions.Projection }

// VisitGetMeResponse writes the user.
func (u encodedUser) VisitGetMeResponse(w http.ResponseWriter) error {
	body, err := u.UserJSON()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// including returns a user with the related objects that a client requested. It reads the user
// again only for roles and tenant.
func (h HTTP) including(ctx context.Context, u *ent.User, asked edges) (answer api.User, err error) {
	if asked.roles || asked.tenant {
		if u, err = h.withRelated(ctx, u.ID, asked); err != nil {
			return answer, err
		}
	}
	answer = withEdges(u)
	if asked.identities {
		all, err := h.Identities(ctx, u.ID)
		if err != nil {
			return answer, err
		}
		answer.Identities = &all
	}
	return answer, nil
}

// UpdateMe answers PATCH /api/v1/users/me.
func (h HTTP) UpdateMe(ctx context.Context, r api.UpdateMeRequestObject) (api.UpdateMeResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	u, err := h.Rename(ctx, me.ID, r.Body.FullName)
	if err != nil {
		return nil, err
	}
	return api.UpdateMe200JSONResponse{UserJSONResponse: api.UserJSONResponse(sessions.UserResponse(u))}, nil
}

// ListUsers answers GET /api/v1/users.
func (h HTTP) ListUsers(ctx context.Context, r api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	p := r.Params
	window := Window{page.NewWindow(p.Limit, p.Cursor), p.Total != nil}
	listed, err := h.List(ctx, Filter{IsActive: p.IsActive, Role: p.Role, Email: p.Email, Query: p.Q}, window,
		edges{roles: p.Include != nil})
	if err != nil {
		return nil, err
	}
	answer := api.ListUsers200JSONResponse{Body: api.Users{Items: make([]api.User, 0, len(listed.Items)),
		Total: listed.Total}}
	for _, u := range listed.Items {
		answer.Body.Items = append(answer.Body.Items, withEdges(u))
	}
	if listed.Next != "" {
		link := httpapi.NextLink(ctx, listed.Next)
		answer.Body.NextCursor, answer.Headers.Link = &listed.Next, &link
	}
	return answer, nil
}

// CreateUser answers POST /api/v1/users.
func (h HTTP) CreateUser(ctx context.Context, r api.CreateUserRequestObject) (api.CreateUserResponseObject, error) {
	account := auth.Account{Email: r.Body.Email, Password: r.Body.Password}
	if r.Body.FullName != nil {
		account.FullName = *r.Body.FullName
	}
	created, err := h.Create(ctx, account, r.Body.RoleIds)
	if err != nil {
		return nil, err
	}
	return api.CreateUser201JSONResponse{UserJSONResponse: api.UserJSONResponse(sessions.UserResponse(created))}, nil
}

// GetUser answers GET /api/v1/users/{id}.
func (h HTTP) GetUser(ctx context.Context, r api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	var included edges
	if r.Params.Include != nil {
		included = related(*r.Params.Include)
	}
	u, err := h.withRelated(ctx, r.ID, included)
	if err != nil {
		return nil, err
	}
	answer, err := h.including(ctx, u, edges{identities: included.identities})
	if err != nil {
		return nil, err
	}
	return api.GetUser200JSONResponse{UserJSONResponse: api.UserJSONResponse(answer)}, nil
}

// UpdateUser answers PATCH /api/v1/users/{id}.
func (h HTTP) UpdateUser(ctx context.Context, r api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	changed, err := h.Update(ctx, r.ID, Change{FullName: r.Body.FullName, Email: r.Body.Email,
		IsActive: r.Body.IsActive})
	if err != nil {
		return nil, err
	}
	return api.UpdateUser200JSONResponse{UserJSONResponse: api.UserJSONResponse(sessions.UserResponse(changed))}, nil
}

// DeleteUser answers DELETE /api/v1/users/{id}.
func (h HTTP) DeleteUser(ctx context.Context, r api.DeleteUserRequestObject) (api.DeleteUserResponseObject, error) {
	if err := h.Delete(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteUser204Response{}, nil
}

// ListUserSessions answers GET /api/v1/users/{id}/sessions.
func (h HTTP) ListUserSessions(ctx context.Context,
	r api.ListUserSessionsRequestObject) (api.ListUserSessionsResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := h.Sessions(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.ListUserSessions200JSONResponse(sessions.ListResponse(listed, me.CredentialID)), nil
}

// EndUserSessions answers DELETE /api/v1/users/{id}/sessions.
func (h HTTP) EndUserSessions(ctx context.Context,
	r api.EndUserSessionsRequestObject) (api.EndUserSessionsResponseObject, error) {
	if err := h.EndSessions(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.EndUserSessions204Response{}, nil
}

// edges are the related objects that a client requested.
type edges struct{ roles, tenant, identities bool }

func related(names []api.Related) (included edges) {
	for _, name := range names {
		switch name {
		case api.RelatedRoles:
			included.roles = true
		case api.RelatedTenant:
			included.tenant = true
		case api.RelatedIdentities:
			included.identities = true
		}
	}
	return included
}

func (e edges) load(q *ent.UserQuery) {
	if e.roles {
		q.WithRoles(func(roles *ent.RoleQuery) { roles.Order(role.ByName()) })
	}
	if e.tenant {
		q.WithTenant()
	}
}

// withEdges returns the response of a user with the loaded edges.
func withEdges(u *ent.User) api.User {
	answer := sessions.UserResponse(u)
	if loaded, err := u.Edges.RolesOrErr(); err == nil {
		roles := make([]api.RoleSummary, 0, len(loaded))
		for _, r := range loaded {
			roles = append(roles, api.RoleSummary{ID: r.ID, Name: r.Name})
		}
		answer.Roles = &roles
	}
	if t, err := u.Edges.TenantOrErr(); err == nil {
		answer.Tenant = &api.TenantSummary{ID: t.ID, Slug: t.Slug, Name: t.Name}
	}
	return answer
}

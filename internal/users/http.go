package users

import (
	"context"
	"fmt"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/ent/user"
	"tenantry/internal/api"
	"tenantry/internal/auth"
	"tenantry/internal/problem"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Users }

// GetMe answers GET /api/v1/users/me. The projection that authorised the request has everything but related objects, which
// are read only if they are asked for.
func (h HTTP) GetMe(ctx context.Context, r api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	me, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answer := auth.UserResponse(me.User)
	if r.Params.Include != nil {
		u, err := including(h.client.User.Query().Where(user.ID(me.ID)), *r.Params.Include).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, problem.NotFound()
		}
		if err != nil {
			return nil, fmt.Errorf("read user: %w", err)
		}
		answer = withIncluded(u)
	}
	return api.GetMe200JSONResponse{UserJSONResponse: api.UserJSONResponse(answer)}, nil
}

// UpdateMe answers PATCH /api/v1/users/me.
func (h HTTP) UpdateMe(ctx context.Context, r api.UpdateMeRequestObject) (api.UpdateMeResponseObject, error) {
	me, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	u, err := h.Update(ctx, me.ID, Change{FullName: r.Body.FullName})
	if err != nil {
		return nil, err
	}
	return api.UpdateMe200JSONResponse{UserJSONResponse: api.UserJSONResponse(auth.UserResponse(u))}, nil
}

// including asks for the edges that the client named, and no other.
func including(q *ent.UserQuery, names []api.GetMeParamsInclude) *ent.UserQuery {
	for _, name := range names {
		switch name {
		case api.GetMeParamsIncludeRoles:
			q.WithRoles(func(roles *ent.RoleQuery) { roles.Order(role.ByName()) })
		case api.GetMeParamsIncludeTenant:
			q.WithTenant()
		}
	}
	return q
}

// withIncluded shows a user with the edges that were loaded.
func withIncluded(u *ent.User) api.User {
	answer := auth.UserResponse(u)
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

package roles

import (
	"context"

	"tenantry/ent"
	"tenantry/internal/api"
	"tenantry/internal/principal"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Roles }

// ListPermissions answers GET /api/v1/permissions.
func (h HTTP) ListPermissions(context.Context, api.ListPermissionsRequestObject) (api.ListPermissionsResponseObject,
	error) {
	var answer api.ListPermissions200JSONResponse
	for _, e := range Catalogue() {
		answer.Items = append(answer.Items, api.Permission{Name: e.Name, Description: e.Description})
	}
	return answer, nil
}

// CheckPermissions answers POST /api/v1/permissions/check.
func (h HTTP) CheckPermissions(ctx context.Context,
	r api.CheckPermissionsRequestObject) (api.CheckPermissionsResponseObject, error) {
	p, _ := principal.FromContext(ctx)
	var answer api.CheckPermissions200JSONResponse
	for _, permission := range r.Body.Permissions {
		answer.Items = append(answer.Items, api.PermissionCheck{Permission: permission, Granted: exists(permission) &&
			p.May(permission)})
	}
	return answer, nil
}

// ListRoles answers GET /api/v1/roles.
func (h HTTP) ListRoles(ctx context.Context, _ api.ListRolesRequestObject) (api.ListRolesResponseObject, error) {
	all, err := h.List(ctx)
	if err != nil {
		return nil, err
	}
	return api.ListRoles200JSONResponse(list(all)), nil
}

// CreateRole answers POST /api/v1/roles.
func (h HTTP) CreateRole(ctx context.Context, r api.CreateRoleRequestObject) (api.CreateRoleResponseObject, error) {
	created, err := h.Create(ctx, Change{Name: &r.Body.Name, Description: r.Body.Description,
		Permissions: &r.Body.Permissions})
	if err != nil {
		return nil, err
	}
	return api.CreateRole201JSONResponse{RoleJSONResponse: api.RoleJSONResponse(response(created))}, nil
}

// GetRole answers GET /api/v1/roles/{id}.
func (h HTTP) GetRole(ctx context.Context, r api.GetRoleRequestObject) (api.GetRoleResponseObject, error) {
	fetched, err := h.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetRole200JSONResponse{RoleJSONResponse: api.RoleJSONResponse(response(fetched))}, nil
}

// UpdateRole answers PATCH /api/v1/roles/{id}.
func (h HTTP) UpdateRole(ctx context.Context, r api.UpdateRoleRequestObject) (api.UpdateRoleResponseObject, error) {
	changed, err := h.Update(ctx, r.ID, Change{Name: r.Body.Name, Description: r.Body.Description,
		Permissions: r.Body.Permissions})
	if err != nil {
		return nil, err
	}
	return api.UpdateRole200JSONResponse{RoleJSONResponse: api.RoleJSONResponse(response(changed))}, nil
}

// DeleteRole answers DELETE /api/v1/roles/{id}.
func (h HTTP) DeleteRole(ctx context.Context, r api.DeleteRoleRequestObject) (api.DeleteRoleResponseObject, error) {
	if err := h.Delete(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteRole204Response{}, nil
}

// SetUserRoles answers PUT /api/v1/users/{id}/roles.
func (h HTTP) SetUserRoles(ctx context.Context, r api.SetUserRolesRequestObject) (api.SetUserRolesResponseObject,
	error) {
	set, err := h.Set(ctx, r.ID, r.Body.RoleIds)
	if err != nil {
		return nil, err
	}
	return api.SetUserRoles200JSONResponse(list(set)), nil
}

// AssignRole answers PUT /api/v1/users/{id}/roles/{role_id}.
func (h HTTP) AssignRole(ctx context.Context, r api.AssignRoleRequestObject) (api.AssignRoleResponseObject, error) {
	if err := h.Add(ctx, r.ID, r.RoleID); err != nil {
		return nil, err
	}
	return api.AssignRole204Response{}, nil
}

// UnassignRole answers DELETE /api/v1/users/{id}/roles/{role_id}.
func (h HTTP) UnassignRole(ctx context.Context, r api.UnassignRoleRequestObject) (api.UnassignRoleResponseObject,
	error) {
	if err := h.Remove(ctx, r.ID, r.RoleID); err != nil {
		return nil, err
	}
	return api.UnassignRole204Response{}, nil
}

func list(roles []*ent.Role) api.Roles {
	items := make([]api.Role, 0, len(roles))
	for _, r := range roles {
		items = append(items, response(r))
	}
	return api.Roles{Items: items}
}

func response(r *ent.Role) api.Role {
	permissions := r.Permissions
	if permissions == nil {
		permissions = []Permission{}
	}
	return api.Role{
		ID: r.ID, Name: r.Name, Description: r.Description, Permissions: permissions, IsSystem: r.IsSystem,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

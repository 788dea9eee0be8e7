package demo

import (
	"encoding/json"
	"iter"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"tenantry/ent/refreshtoken"
	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
)

// Each list of columns is followed by the rows in its order.

var tenantColumns = []string{
	tenant.FieldID, tenant.FieldCreatedAt, tenant.FieldUpdatedAt, tenant.FieldSlug, tenant.FieldName,
	tenant.FieldIsActive, tenant.FieldSettings,
}

func tenantRows(homes []*home) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, h := range homes {
			if !yield([]any{h.id, h.created, h.created, slug(h.number), strings.ToUpper(slug(h.number)), h.active,
				"{}"}) {
				return
			}
		}
	}
}

var roleColumns = []string{
	role.FieldID, role.FieldCreatedAt, role.FieldUpdatedAt, role.FieldName, role.FieldDescription,
	role.FieldPermissions, role.FieldIsSystem, role.FieldTenantID,
}

func roleRows(homes []*home) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, h := range homes {
			for _, r := range h.roles {
				permissions, _ := json.Marshal(r.permissions) // strings always can be
				if !yield([]any{r.id, h.created, h.created, r.name, r.description, string(permissions), r.system,
					h.id}) {
					return
				}
			}
		}
	}
}

var userColumns = []string{
	user.FieldID, user.FieldCreatedAt, user.FieldUpdatedAt, user.FieldEmail, user.FieldPasswordHash, user.FieldFullName,
	user.FieldFullNameFolded,
	user.FieldIsActive, user.FieldEmailVerifiedAt, user.FieldTenantID,
}

func userRows(people []person, passwordHash string) iter.Seq[[]any] {
	var hash any
	if passwordHash != "" {
		hash = passwordHash
	}
	fold := cases.Fold()
	return func(yield func([]any) bool) {
		for _, p := range people {
			name := norm.NFC.String(p.fullName)
			if !yield([]any{p.id, p.created, p.created, p.email, hash, name, fold.String(name), p.active, p.verified,
				p.home.id}) {
				return
			}
		}
	}
}

var assignmentColumns = []string{
	roleassignment.FieldCreatedAt, roleassignment.FieldUpdatedAt, roleassignment.FieldTenantID,
	roleassignment.FieldUserID, roleassignment.FieldRoleID,
}

func assignmentRows(people []person) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, p := range people {
			for _, r := range p.roles {
				if !yield([]any{p.created, p.created, p.home.id, p.id, r.id}) {
					return
				}
			}
		}
	}
}

var sessionColumns = []string{
	refreshtoken.FieldID, refreshtoken.FieldCreatedAt, refreshtoken.FieldUpdatedAt, refreshtoken.FieldCounter,
	refreshtoken.FieldRotatedAt,
	refreshtoken.FieldRevoked, refreshtoken.FieldRevokedReason, refreshtoken.FieldExpiresAt,
	refreshtoken.FieldUserAgent, refreshtoken.FieldIP,
	refreshtoken.FieldTenantID, refreshtoken.FieldUserID,
}

func sessionRows(people []person) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, p := range people {
			for _, v := range p.visits {
				var reason any
				if v.revoked != "" {
					reason = v.revoked
				}
				if !yield([]any{
					v.id, v.begun, v.rotated, v.counter, v.rotated, reason != nil, reason, v.begun.Add(session),
					v.agent, v.ip, p.home.id, p.id,
				}) {
					return
				}
			}
		}
	}
}

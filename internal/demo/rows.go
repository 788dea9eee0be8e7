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

// Each list of columns is followed by the function that yields rows with those columns.

var tenantColumns = []string{
	tenant.FieldID, tenant.FieldCreatedAt, tenant.FieldUpdatedAt, tenant.FieldSlug, tenant.FieldName,
	tenant.FieldIsActive, tenant.FieldSettings,
}

func tenantRows(all []*demoTenant) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, t := range all {
			if !yield([]any{t.id, t.created, t.created, slug(t.number), strings.ToUpper(slug(t.number)), t.active,
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

func roleRows(all []*demoTenant) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, t := range all {
			for _, r := range t.roles {
				permissions, _ := json.Marshal(r.permissions) // never fails for strings
				if !yield([]any{r.id, t.created, t.created, r.name, r.description, string(permissions), r.system,
					t.id}) {
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
				p.tenant.id}) {
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
				if !yield([]any{p.created, p.created, p.tenant.id, p.id, r.id}) {
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
			for _, s := range p.sessions {
				var reason any
				if s.revoked != "" {
					reason = s.revoked
				}
				if !yield([]any{
					s.id, s.created, s.rotated, s.counter, s.rotated, reason != nil, reason, s.created.Add(sessionTTL),
					s.agent, s.ip, p.tenant.id, p.id,
				}) {
					return
				}
			}
		}
	}
}

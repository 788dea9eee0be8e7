package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"entgo.io/ent/dialect/sql/sqlgraph"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/auth"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/tenants"
)

// defaultEmail is the default address of the first superuser. Its domain is reserved for private
// use, so that it cannot receive mail from outside.
const defaultEmail = "admin@tenantry.internal"

// Bootstrap creates the first tenant and its owner, a superuser, in an empty database. A generated
// password is written to out once, and never to a log. If several instances start together, one of
// them creates both.
func Bootstrap(ctx context.Context, parts Parts, out io.Writer) error {
	cfg, client := parts.Config, parts.DB.Client
	ctx = principal.System(ctx, "first start: no tenant exists")
	exists, err := client.Tenant.Query().Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for a tenant: %w", err)
	}
	if exists {
		return checkDefaultTenant(ctx, parts)
	}
	password := cfg.BootstrapPassword
	generated := password == ""
	if generated {
		password = Passphrase()
	}
	owner := auth.Account{Email: cfg.BootstrapEmail, Password: &password, Superuser: true}
	if owner.Email == "" {
		owner.Email = defaultEmail
	}
	first := &ent.Tenant{Slug: cfg.DefaultTenant, Name: "Default"} // registration is closed
	prepared, err := owner.Prepare(ctx, parts.Hasher, first)
	if err != nil {
		return fmt.Errorf("TENANTRY_BOOTSTRAP_EMAIL or TENANTRY_BOOTSTRAP_PASSWORD is not acceptable: %s",
			problem.Sentences(err))
	}
	err = database.WithTx(ctx, client, func(tx *ent.Client) error {
		if _, _, err := tenants.Insert(ctx, tx, first, prepared); err != nil {
			return err
		}
		// Before the commit: if the password were lost, no user could sign in.
		return announce(out, cfg, owner, generated)
	})
	if sqlgraph.IsUniqueConstraintError(err) {
		return nil // another instance was faster
	}
	if err != nil {
		return fmt.Errorf("create the first tenant: %w", err)
	}
	return nil
}

// checkDefaultTenant warns if the default tenant does not exist: requests that name no tenant fail.
func checkDefaultTenant(ctx context.Context, parts Parts) error {
	slug := parts.Config.DefaultTenant
	exists, err := parts.DB.Client.Tenant.Query().Where(tenant.Slug(slug)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for the default tenant: %w", err)
	}
	if !exists {
		parts.Log.WarnContext(ctx, "default tenant not found: requests must name a tenant", "slug", slug)
	}
	return nil
}

// announce prints how to sign in and how to open registration. It does not print a password that
// the operator has chosen.
func announce(out io.Writer, cfg config.Config, owner auth.Account, generated bool) error {
	password := "…"
	if generated {
		password = *owner.Password
	}
	body, err := json.Marshal(map[string]string{"tenant": cfg.DefaultTenant, "email": owner.Email,
		"password": password})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nFirst start: created the tenant %q and its owner %s.\n", cfg.DefaultTenant,
		owner.Email)
	if err == nil && generated {
		_, err = fmt.Fprintf(out, "The password is shown this once: %s\n", *owner.Password)
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "Sign in:\n\n  curl -sS %s/api/v1/auth/login -H 'Content-Type: application/json' "+
			"-d '%s'\n\n", cfg.PublicURL,
			strings.ReplaceAll(string(body), "'", `'\''`))
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "Registration in this tenant is closed. To open it, export the response's "+
			"access_token as ACCESS_TOKEN and run:\n\n"+
			"  curl -sS -X PATCH %s/api/v1/tenant -H \"Authorization: Bearer $ACCESS_TOKEN\" "+
			"-H 'Content-Type: application/json' -d '{\"settings\":{\"registration\":\"open\"}}'\n\n", cfg.PublicURL)
	}
	return err
}

// Passphrase returns 26 letters and digits in groups, of 130 random bits.
func Passphrase() string {
	text := strings.ToLower(rand.Text())
	var groups []string
	for len(text) > 0 {
		n := min(5, len(text))
		groups, text = append(groups, text[:n]), text[n:]
	}
	return strings.Join(groups, "-")
}

-- Create "signing_keys" table
CREATE TABLE "signing_keys" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "kid" character varying NOT NULL, "alg" character varying NOT NULL, "public_key" bytea NOT NULL, "private_key" bytea NOT NULL, "state" character varying NOT NULL DEFAULT 'pending', "not_before" timestamptz NOT NULL, "retire_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "idx_signing_key_active" to table: "signing_keys"
CREATE UNIQUE INDEX "idx_signing_key_active" ON "signing_keys" ("state") WHERE ((state)::text = 'active'::text);
-- Create index "signing_keys_kid_key" to table: "signing_keys"
CREATE UNIQUE INDEX "signing_keys_kid_key" ON "signing_keys" ("kid");
-- Create "tenants" table
CREATE TABLE "tenants" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "slug" character varying NOT NULL, "name" character varying NOT NULL, "is_active" boolean NOT NULL DEFAULT true, "settings" jsonb NOT NULL, PRIMARY KEY ("id"));
-- Create index "tenants_slug_key" to table: "tenants"
CREATE UNIQUE INDEX "tenants_slug_key" ON "tenants" ("slug");
-- Create "users" table
CREATE TABLE "users" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "email" character varying NOT NULL, "password_hash" character varying NULL, "full_name" character varying NOT NULL DEFAULT '', "is_active" boolean NOT NULL DEFAULT true, "is_superuser" boolean NOT NULL DEFAULT false, "email_verified_at" timestamptz NULL, "oauth_provider" character varying NULL, "oauth_id" character varying NULL, "tenant_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "users_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "idx_user_email_tenant" to table: "users"
CREATE UNIQUE INDEX "idx_user_email_tenant" ON "users" ("email", "tenant_id");
-- Create index "idx_user_oauth" to table: "users"
CREATE UNIQUE INDEX "idx_user_oauth" ON "users" ("oauth_provider", "oauth_id", "tenant_id");
-- Create "oauth_states" table
CREATE TABLE "oauth_states" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "state_hash" bytea NOT NULL, "provider" character varying NOT NULL, "code_verifier" character varying NOT NULL, "nonce" character varying NOT NULL, "browser_hash" bytea NOT NULL, "redirect_uri" character varying NOT NULL DEFAULT '', "expires_at" timestamptz NOT NULL, "tenant_id" uuid NOT NULL, "user_id" uuid NULL, PRIMARY KEY ("id"), CONSTRAINT "oauth_states_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "oauth_states_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "oauth_states_state_hash_key" to table: "oauth_states"
CREATE UNIQUE INDEX "oauth_states_state_hash_key" ON "oauth_states" ("state_hash");
-- Create "one_time_tokens" table
CREATE TABLE "one_time_tokens" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "purpose" character varying NOT NULL, "token_hash" bytea NOT NULL, "payload" jsonb NOT NULL, "expires_at" timestamptz NOT NULL, "tenant_id" uuid NOT NULL, "user_id" uuid NULL, PRIMARY KEY ("id"), CONSTRAINT "one_time_tokens_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "one_time_tokens_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "idx_one_time_token_expires" to table: "one_time_tokens"
CREATE INDEX "idx_one_time_token_expires" ON "one_time_tokens" ("expires_at");
-- Create index "one_time_tokens_token_hash_key" to table: "one_time_tokens"
CREATE UNIQUE INDEX "one_time_tokens_token_hash_key" ON "one_time_tokens" ("token_hash");
-- Create "refresh_tokens" table
CREATE TABLE "refresh_tokens" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "counter" bigint NOT NULL DEFAULT 0, "rotated_at" timestamptz NOT NULL, "revoked" boolean NOT NULL DEFAULT false, "revoked_reason" character varying NULL, "expires_at" timestamptz NOT NULL, "user_agent" character varying NOT NULL DEFAULT '', "ip" character varying NOT NULL DEFAULT '', "tenant_id" uuid NOT NULL, "user_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "refresh_tokens_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "refresh_tokens_users_refresh_tokens" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create "roles" table
CREATE TABLE "roles" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "name" character varying NOT NULL, "description" character varying NOT NULL DEFAULT '', "permissions" jsonb NOT NULL, "is_system" boolean NOT NULL DEFAULT false, "tenant_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "roles_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "idx_role_tenant_name" to table: "roles"
CREATE UNIQUE INDEX "idx_role_tenant_name" ON "roles" ("tenant_id", "name");
-- Create "user_roles" table
CREATE TABLE "user_roles" ("created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "tenant_id" uuid NOT NULL, "user_id" uuid NOT NULL, "role_id" uuid NOT NULL, PRIMARY KEY ("user_id", "role_id"), CONSTRAINT "user_roles_roles_role" FOREIGN KEY ("role_id") REFERENCES "roles" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "user_roles_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "user_roles_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "idx_user_role_role" to table: "user_roles"
CREATE INDEX "idx_user_role_role" ON "user_roles" ("role_id");

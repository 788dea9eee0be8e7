-- Create index "idx_oauth_state_expires" to table: "oauth_states"
CREATE INDEX "idx_oauth_state_expires" ON "oauth_states" ("expires_at");
-- Create index "idx_oauth_state_provider" to table: "oauth_states"
CREATE INDEX "idx_oauth_state_provider" ON "oauth_states" ("provider");
-- Create index "idx_refresh_token_expires" to table: "refresh_tokens"
CREATE INDEX "idx_refresh_token_expires" ON "refresh_tokens" ("expires_at");
-- Create index "idx_refresh_token_user_revoked" to table: "refresh_tokens"
CREATE INDEX "idx_refresh_token_user_revoked" ON "refresh_tokens" ("user_id", "revoked");
-- Create index "idx_user_tenant_id" to table: "users"
CREATE INDEX "idx_user_tenant_id" ON "users" ("tenant_id", "id");

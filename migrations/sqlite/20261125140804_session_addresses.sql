-- Create index "idx_refresh_token_tenant_ip" to table: "refresh_tokens"
CREATE INDEX `idx_refresh_token_tenant_ip` ON `refresh_tokens` (`tenant_id`, `ip`);

-- Create index "idx_oauth_state_user" to table: "oauth_states"
CREATE INDEX `idx_oauth_state_user` ON `oauth_states` (`user_id`);
-- Create index "idx_one_time_token_user" to table: "one_time_tokens"
CREATE INDEX `idx_one_time_token_user` ON `one_time_tokens` (`user_id`);
-- Drop index "idx_user_role_role" from table: "user_roles"
DROP INDEX `idx_user_role_role`;
-- Create index "idx_user_role_role_user" to table: "user_roles"
CREATE INDEX `idx_user_role_role_user` ON `user_roles` (`role_id`, `user_id`);
-- Create index "idx_user_tenant_active" to table: "users"
CREATE INDEX `idx_user_tenant_active` ON `users` (`tenant_id`, `is_active`, `id`);

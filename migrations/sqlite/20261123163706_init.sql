-- Create "oauth_states" table
CREATE TABLE `oauth_states` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `state_hash` blob NOT NULL, `provider` text NOT NULL, `code_verifier` text NOT NULL, `nonce` text NOT NULL, `browser_hash` blob NOT NULL, `redirect_uri` text NOT NULL DEFAULT '', `expires_at` datetime NOT NULL, `tenant_id` uuid NOT NULL, `user_id` uuid NULL, PRIMARY KEY (`id`), CONSTRAINT `oauth_states_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE, CONSTRAINT `oauth_states_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- Create index "oauth_states_state_hash_key" to table: "oauth_states"
CREATE UNIQUE INDEX `oauth_states_state_hash_key` ON `oauth_states` (`state_hash`);
-- Create "one_time_tokens" table
CREATE TABLE `one_time_tokens` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `purpose` text NOT NULL, `token_hash` blob NOT NULL, `payload` json NOT NULL, `expires_at` datetime NOT NULL, `tenant_id` uuid NOT NULL, `user_id` uuid NULL, PRIMARY KEY (`id`), CONSTRAINT `one_time_tokens_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE, CONSTRAINT `one_time_tokens_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- Create index "one_time_tokens_token_hash_key" to table: "one_time_tokens"
CREATE UNIQUE INDEX `one_time_tokens_token_hash_key` ON `one_time_tokens` (`token_hash`);
-- Create index "idx_one_time_token_expires" to table: "one_time_tokens"
CREATE INDEX `idx_one_time_token_expires` ON `one_time_tokens` (`expires_at`);
-- Create "refresh_tokens" table
CREATE TABLE `refresh_tokens` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `counter` integer NOT NULL DEFAULT 0, `rotated_at` datetime NOT NULL, `revoked` bool NOT NULL DEFAULT false, `revoked_reason` text NULL, `expires_at` datetime NOT NULL, `user_agent` text NOT NULL DEFAULT '', `ip` text NOT NULL DEFAULT '', `tenant_id` uuid NOT NULL, `user_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `refresh_tokens_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE, CONSTRAINT `refresh_tokens_users_refresh_tokens` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- Create "roles" table
CREATE TABLE `roles` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `name` text NOT NULL, `description` text NOT NULL DEFAULT '', `permissions` json NOT NULL, `is_system` bool NOT NULL DEFAULT false, `tenant_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `roles_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE);
-- Create index "idx_role_tenant_name" to table: "roles"
CREATE UNIQUE INDEX `idx_role_tenant_name` ON `roles` (`tenant_id`, `name`);
-- Create "user_roles" table
CREATE TABLE `user_roles` (`created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `tenant_id` uuid NOT NULL, `user_id` uuid NOT NULL, `role_id` uuid NOT NULL, PRIMARY KEY (`user_id`, `role_id`), CONSTRAINT `user_roles_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE, CONSTRAINT `user_roles_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE, CONSTRAINT `user_roles_roles_role` FOREIGN KEY (`role_id`) REFERENCES `roles` (`id`) ON DELETE CASCADE);
-- Create index "idx_user_role_role" to table: "user_roles"
CREATE INDEX `idx_user_role_role` ON `user_roles` (`role_id`);
-- Create "signing_keys" table
CREATE TABLE `signing_keys` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `kid` text NOT NULL, `alg` text NOT NULL, `public_key` blob NOT NULL, `private_key` blob NOT NULL, `state` text NOT NULL DEFAULT 'pending', `not_before` datetime NOT NULL, `retire_at` datetime NULL, PRIMARY KEY (`id`));
-- Create index "signing_keys_kid_key" to table: "signing_keys"
CREATE UNIQUE INDEX `signing_keys_kid_key` ON `signing_keys` (`kid`);
-- Create index "idx_signing_key_active" to table: "signing_keys"
CREATE UNIQUE INDEX `idx_signing_key_active` ON `signing_keys` (`state`) WHERE state = 'active';
-- Create "tenants" table
CREATE TABLE `tenants` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `slug` text NOT NULL, `name` text NOT NULL, `is_active` bool NOT NULL DEFAULT true, `settings` json NOT NULL, PRIMARY KEY (`id`));
-- Create index "tenants_slug_key" to table: "tenants"
CREATE UNIQUE INDEX `tenants_slug_key` ON `tenants` (`slug`);
-- Create "users" table
CREATE TABLE `users` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `email` text NOT NULL, `password_hash` text NULL, `full_name` text NOT NULL DEFAULT '', `is_active` bool NOT NULL DEFAULT true, `is_superuser` bool NOT NULL DEFAULT false, `email_verified_at` datetime NULL, `oauth_provider` text NULL, `oauth_id` text NULL, `tenant_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `users_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE);
-- Create index "idx_user_email_tenant" to table: "users"
CREATE UNIQUE INDEX `idx_user_email_tenant` ON `users` (`email`, `tenant_id`);
-- Create index "idx_user_oauth" to table: "users"
CREATE UNIQUE INDEX `idx_user_oauth` ON `users` (`oauth_provider`, `oauth_id`, `tenant_id`);

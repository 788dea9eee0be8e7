-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_refresh_tokens" table
CREATE TABLE `new_refresh_tokens` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `counter` integer NOT NULL DEFAULT 0, `rotated_at` datetime NOT NULL, `password_version` integer NOT NULL DEFAULT 0, `revoked` bool NOT NULL DEFAULT false, `revoked_reason` text NULL, `expires_at` datetime NOT NULL, `user_agent` text NOT NULL DEFAULT '', `ip` text NOT NULL DEFAULT '', `tenant_id` uuid NOT NULL, `user_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `refresh_tokens_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE, CONSTRAINT `refresh_tokens_users_refresh_tokens` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- Copy rows from old table "refresh_tokens" to new temporary table "new_refresh_tokens"
INSERT INTO `new_refresh_tokens` (`id`, `created_at`, `updated_at`, `counter`, `rotated_at`, `revoked`, `revoked_reason`, `expires_at`, `user_agent`, `ip`, `tenant_id`, `user_id`) SELECT `id`, `created_at`, `updated_at`, `counter`, `rotated_at`, `revoked`, `revoked_reason`, `expires_at`, `user_agent`, `ip`, `tenant_id`, `user_id` FROM `refresh_tokens`;
-- Drop "refresh_tokens" table after copying rows
DROP TABLE `refresh_tokens`;
-- Rename temporary table "new_refresh_tokens" to "refresh_tokens"
ALTER TABLE `new_refresh_tokens` RENAME TO `refresh_tokens`;
-- Create index "idx_refresh_token_user_revoked" to table: "refresh_tokens"
CREATE INDEX `idx_refresh_token_user_revoked` ON `refresh_tokens` (`user_id`, `revoked`);
-- Create index "idx_refresh_token_expires" to table: "refresh_tokens"
CREATE INDEX `idx_refresh_token_expires` ON `refresh_tokens` (`expires_at`);
-- Create "new_users" table
CREATE TABLE `new_users` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `email` text NOT NULL, `password_hash` text NULL, `password_version` integer NOT NULL DEFAULT 0, `full_name` text NOT NULL DEFAULT '', `is_active` bool NOT NULL DEFAULT true, `is_superuser` bool NOT NULL DEFAULT false, `email_verified_at` datetime NULL, `oauth_provider` text NULL, `oauth_id` text NULL, `tenant_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `users_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE);
-- Copy rows from old table "users" to new temporary table "new_users"
INSERT INTO `new_users` (`id`, `created_at`, `updated_at`, `email`, `password_hash`, `full_name`, `is_active`, `is_superuser`, `email_verified_at`, `oauth_provider`, `oauth_id`, `tenant_id`) SELECT `id`, `created_at`, `updated_at`, `email`, `password_hash`, `full_name`, `is_active`, `is_superuser`, `email_verified_at`, `oauth_provider`, `oauth_id`, `tenant_id` FROM `users`;
-- Drop "users" table after copying rows
DROP TABLE `users`;
-- Rename temporary table "new_users" to "users"
ALTER TABLE `new_users` RENAME TO `users`;
-- The rows are those that the same index held before.
-- atlas:nolint data_depend
-- Create index "idx_user_email_tenant" to table: "users"
CREATE UNIQUE INDEX `idx_user_email_tenant` ON `users` (`email`, `tenant_id`);
-- atlas:nolint data_depend
-- Create index "idx_user_oauth" to table: "users"
CREATE UNIQUE INDEX `idx_user_oauth` ON `users` (`oauth_provider`, `oauth_id`, `tenant_id`);
-- Create index "idx_user_tenant_id" to table: "users"
CREATE INDEX `idx_user_tenant_id` ON `users` (`tenant_id`, `id`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

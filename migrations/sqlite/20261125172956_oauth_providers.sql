-- Create "oauth_providers" table
CREATE TABLE `oauth_providers` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `name` text NOT NULL, `kind` text NOT NULL, `label` text NOT NULL, `enabled` bool NOT NULL DEFAULT true, `client_id` text NOT NULL, `client_secret` blob NULL, `issuer` text NOT NULL DEFAULT '', `authorization_endpoint` text NOT NULL DEFAULT '', `token_endpoint` text NOT NULL DEFAULT '', `userinfo_endpoint` text NOT NULL DEFAULT '', `scopes` json NOT NULL, `tenant_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `oauth_providers_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE);
-- Create index "idx_oauth_provider_tenant_name" to table: "oauth_providers"
CREATE UNIQUE INDEX `idx_oauth_provider_tenant_name` ON `oauth_providers` (`tenant_id`, `name`);
-- The owners of the tenants that are there hold the new permissions too.
UPDATE `roles` SET `permissions` = '["users:read","users:write","roles:read","roles:write","tenant:read","tenant:write","sessions:read","sessions:write","oauth-providers:read","oauth-providers:write"]' WHERE `is_system` AND `name` = 'owner';

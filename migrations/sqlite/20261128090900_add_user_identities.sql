-- atlas:delimiter \n\n
-- Create "user_identities" table
CREATE TABLE `user_identities` (`id` uuid NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `provider` text NOT NULL, `subject` text NOT NULL, `verified_by` text NOT NULL DEFAULT 'unknown', `tenant_id` uuid NOT NULL, `user_id` uuid NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `user_identities_tenants_tenant` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE CASCADE, CONSTRAINT `user_identities_users_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE)

-- Create index "idx_user_identity_subject" to table: "user_identities"
CREATE UNIQUE INDEX `idx_user_identity_subject` ON `user_identities` (`tenant_id`, `provider`, `subject`)

-- Create index "idx_user_identity_user" to table: "user_identities"
CREATE UNIQUE INDEX `idx_user_identity_user` ON `user_identities` (`user_id`, `provider`)

-- The triggers carry a change of the primary identity, which the previous version writes, into the identities. A statement that also
-- raises password_version revokes all sessions of the user, and therefore deletes all other identities: they may be an attacker's. It
-- deletes one identity otherwise. An identity of another user violates idx_user_identity_subject. These triggers name other tables than
-- their own: drop them before you rebuild one of the tables, and create them again.
CREATE TRIGGER `users_identity_insert` AFTER INSERT ON `users` WHEN NEW.`oauth_id` IS NOT NULL BEGIN
  INSERT INTO `user_identities` (`id`, `created_at`, `updated_at`, `tenant_id`, `user_id`, `provider`, `subject`, `verified_by`)
  SELECT substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 1, 8) || '-' || substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 9) || '-7' || substr(lower(hex(randomblob(2))), 2) || '-'
    || substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))),
    NEW.`updated_at`, NEW.`updated_at`, NEW.`tenant_id`, NEW.`id`, NEW.`oauth_provider`, NEW.`oauth_id`, 'registration'
  WHERE NEW.`oauth_provider` IS NOT NULL AND NEW.`oauth_id` IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM `user_identities` WHERE `user_id` = NEW.`id` AND `tenant_id` = NEW.`tenant_id`
      AND `provider` = NEW.`oauth_provider` AND `subject` = NEW.`oauth_id`
  );
END

CREATE TRIGGER `users_identity_update` AFTER UPDATE OF `oauth_provider`, `oauth_id` ON `users`
WHEN OLD.`oauth_provider` IS NOT NEW.`oauth_provider` OR OLD.`oauth_id` IS NOT NEW.`oauth_id` BEGIN
  DELETE FROM `user_identities` WHERE `user_id` = OLD.`id` AND `tenant_id` = OLD.`tenant_id`
    AND (NEW.`password_version` > OLD.`password_version` OR `provider` = OLD.`oauth_provider` AND `subject` = OLD.`oauth_id`)
    AND (`provider` IS NOT NEW.`oauth_provider` OR `subject` IS NOT NEW.`oauth_id`);
  INSERT INTO `user_identities` (`id`, `created_at`, `updated_at`, `tenant_id`, `user_id`, `provider`, `subject`, `verified_by`)
  SELECT substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 1, 8) || '-' || substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 9) || '-7' || substr(lower(hex(randomblob(2))), 2) || '-'
    || substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))),
    NEW.`updated_at`, NEW.`updated_at`, NEW.`tenant_id`, NEW.`id`, NEW.`oauth_provider`, NEW.`oauth_id`, 'unknown'
  WHERE NEW.`oauth_provider` IS NOT NULL AND NEW.`oauth_id` IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM `user_identities` WHERE `user_id` = NEW.`id` AND `tenant_id` = NEW.`tenant_id`
      AND `provider` = NEW.`oauth_provider` AND `subject` = NEW.`oauth_id`
  );
END

-- A provider of a tenant is deleted with its identities. The previous version unlinks primary identities only.
CREATE TRIGGER `oauth_providers_identity_delete` AFTER DELETE ON `oauth_providers` BEGIN
  DELETE FROM `user_identities` WHERE `tenant_id` = OLD.`tenant_id` AND `provider` = OLD.`id`;
END

-- atlas:delimiter \n\n
-- Create "changes" table
CREATE TABLE `changes` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `key` uuid NOT NULL, `xid` integer NOT NULL)

-- Create index "idx_change_xid" to table: "changes"
CREATE INDEX `idx_change_xid` ON `changes` (`xid`)

-- Create "settings" table
CREATE TABLE `settings` (`name` text NOT NULL, `value` text NOT NULL, PRIMARY KEY (`name`))

-- Triggers name no table but their own and `changes`: otherwise SQLite refuses to rebuild the other table.
CREATE TRIGGER `users_change_log_update` AFTER UPDATE ON `users` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`id`, 0);
END

CREATE TRIGGER `users_change_log_delete` AFTER DELETE ON `users` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (OLD.`id`, 0);
END

-- A refresh updates neither column, so it records nothing.
CREATE TRIGGER `refresh_tokens_change_log_update` AFTER UPDATE OF `revoked`, `expires_at` ON `refresh_tokens`
WHEN OLD.`revoked` IS NOT NEW.`revoked` OR OLD.`expires_at` IS NOT NEW.`expires_at` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`id`, 0);
END

-- A session that has expired is not cached. Times are text in one format.
CREATE TRIGGER `refresh_tokens_change_log_delete` AFTER DELETE ON `refresh_tokens`
WHEN NOT OLD.`revoked` AND OLD.`expires_at` >= strftime('%Y-%m-%d %H:%M:%S', 'now') BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (OLD.`id`, 0);
END

CREATE TRIGGER `user_roles_change_log_insert` AFTER INSERT ON `user_roles` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`user_id`, 0);
END

CREATE TRIGGER `user_roles_change_log_update` AFTER UPDATE ON `user_roles` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`user_id`, 0);
END

CREATE TRIGGER `user_roles_change_log_delete` AFTER DELETE ON `user_roles` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (OLD.`user_id`, 0);
END

CREATE TRIGGER `roles_change_log_update` AFTER UPDATE ON `roles` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`tenant_id`, 0);
END

CREATE TRIGGER `roles_change_log_delete` AFTER DELETE ON `roles` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (OLD.`tenant_id`, 0);
END

CREATE TRIGGER `tenants_change_log_update` AFTER UPDATE ON `tenants` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`id`, 0);
END

CREATE TRIGGER `tenants_change_log_delete` AFTER DELETE ON `tenants` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (OLD.`id`, 0);
END

CREATE TRIGGER `oauth_providers_change_log_insert` AFTER INSERT ON `oauth_providers` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`tenant_id`, 0);
END

CREATE TRIGGER `oauth_providers_change_log_update` AFTER UPDATE ON `oauth_providers` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (NEW.`tenant_id`, 0);
END

CREATE TRIGGER `oauth_providers_change_log_delete` AFTER DELETE ON `oauth_providers` BEGIN
  INSERT INTO `changes` (`key`, `xid`) VALUES (OLD.`tenant_id`, 0);
END

-- atlas:delimiter \n\n
INSERT INTO `user_identities` (`id`, `created_at`, `updated_at`, `tenant_id`, `user_id`, `provider`, `subject`)
SELECT substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 1, 8) || '-' || substr(printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)), 9) || '-7' || substr(lower(hex(randomblob(2))), 2) || '-'
  || substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))),
  `created_at`, `created_at`, `tenant_id`, `id`, `oauth_provider`, `oauth_id`
FROM `users` WHERE `oauth_provider` IS NOT NULL AND `oauth_id` IS NOT NULL
ON CONFLICT (`tenant_id`, `provider`, `subject`) DO NOTHING

-- The triggers keep the primary identity of a user: the first identity, and after it the oldest that remains.
CREATE TRIGGER `user_identities_identity_insert` AFTER INSERT ON `user_identities` BEGIN
  UPDATE `users` SET `oauth_provider` = NEW.`provider`, `oauth_id` = NEW.`subject`
  WHERE `id` = NEW.`user_id` AND `tenant_id` = NEW.`tenant_id` AND `oauth_id` IS NULL;
END

CREATE TRIGGER `user_identities_identity_delete` AFTER DELETE ON `user_identities` BEGIN
  UPDATE `users` SET (`oauth_provider`, `oauth_id`) = (
    SELECT `i`.`provider`, `i`.`subject` FROM `user_identities` AS `i`
    WHERE `i`.`user_id` = OLD.`user_id` AND `i`.`tenant_id` = OLD.`tenant_id` ORDER BY `i`.`created_at`, `i`.`id` LIMIT 1
  ) WHERE `id` = OLD.`user_id` AND `tenant_id` = OLD.`tenant_id` AND (
    `oauth_provider` = OLD.`provider` AND `oauth_id` = OLD.`subject`
    OR `oauth_id` IS NULL AND EXISTS (
      SELECT 1 FROM `user_identities` AS `i` WHERE `i`.`user_id` = OLD.`user_id` AND `i`.`tenant_id` = OLD.`tenant_id`
    )
  );
END

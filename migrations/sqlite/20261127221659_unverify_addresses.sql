-- A provider of a tenant proves no address, and used to mark the address of a new user as verified. Such a user is linked to it, or, when
-- the provider was removed, has neither an identity nor a password.
UPDATE `users` SET `email_verified_at` = NULL WHERE `email_verified_at` IS NOT NULL AND (
  `oauth_provider` IN (SELECT `id` FROM `oauth_providers`)
  OR (`oauth_provider` IS NULL AND `password_hash` IS NULL)
);

-- Add column "full_name_folded" to table: "users"
ALTER TABLE `users` ADD COLUMN `full_name_folded` text NOT NULL DEFAULT '';
-- Names that are there are found without regard to the case of ASCII letters; the others once they are changed.
UPDATE `users` SET `full_name_folded` = lower(`full_name`);
-- Create index "idx_user_tenant_email" to table: "users"
CREATE INDEX `idx_user_tenant_email` ON `users` (`tenant_id`, `email`);
-- Create index "idx_user_tenant_full_name" to table: "users"
CREATE INDEX `idx_user_tenant_full_name` ON `users` (`tenant_id`, `full_name_folded`);

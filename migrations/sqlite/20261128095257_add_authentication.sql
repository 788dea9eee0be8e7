-- Add column "authenticated_at" to table: "refresh_tokens"
ALTER TABLE `refresh_tokens` ADD COLUMN `authenticated_at` datetime NULL;
-- Add column "amr" to table: "refresh_tokens"
ALTER TABLE `refresh_tokens` ADD COLUMN `amr` json NOT NULL DEFAULT '[]';

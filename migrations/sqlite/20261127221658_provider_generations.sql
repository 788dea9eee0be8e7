-- Each statement adds a column in place: to rebuild a table would drop its triggers.
-- Add column "generation" to table: "oauth_providers"
ALTER TABLE `oauth_providers` ADD COLUMN `generation` integer NOT NULL DEFAULT 0;
-- Add column "provider_generation" to table: "oauth_states"
ALTER TABLE `oauth_states` ADD COLUMN `provider_generation` integer NOT NULL DEFAULT 0;
-- Add column "provider_id" to table: "refresh_tokens"
ALTER TABLE `refresh_tokens` ADD COLUMN `provider_id` uuid NULL;
-- Add column "provider_generation" to table: "refresh_tokens"
ALTER TABLE `refresh_tokens` ADD COLUMN `provider_generation` integer NULL;

-- Add column "callbacks" to table: "oauth_states"
ALTER TABLE `oauth_states` ADD COLUMN `callbacks` integer NOT NULL DEFAULT 0;
-- Add column "outcome" to table: "oauth_states"
ALTER TABLE `oauth_states` ADD COLUMN `outcome` text NOT NULL DEFAULT '';

-- Add columns "session_id" and "code_challenge" to table: "oauth_states"
ALTER TABLE `oauth_states` ADD COLUMN `session_id` uuid NULL;
ALTER TABLE `oauth_states` ADD COLUMN `code_challenge` text NOT NULL DEFAULT '';

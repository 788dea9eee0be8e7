-- Modify "oauth_states" table
ALTER TABLE "oauth_states" ADD COLUMN "session_id" uuid NULL, ADD COLUMN "code_challenge" character varying NOT NULL DEFAULT '';

-- Modify "oauth_states" table
ALTER TABLE "oauth_states" ADD COLUMN "callbacks" bigint NOT NULL DEFAULT 0, ADD COLUMN "outcome" character varying NOT NULL DEFAULT '';

-- Modify "oauth_providers" table
ALTER TABLE "oauth_providers" ADD COLUMN "generation" bigint NOT NULL DEFAULT 0;
-- Modify "oauth_states" table
ALTER TABLE "oauth_states" ADD COLUMN "provider_generation" bigint NOT NULL DEFAULT 0;
-- Modify "refresh_tokens" table
ALTER TABLE "refresh_tokens" ADD COLUMN "provider_id" uuid NULL, ADD COLUMN "provider_generation" bigint NULL;

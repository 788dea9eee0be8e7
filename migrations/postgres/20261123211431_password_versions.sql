-- Modify "refresh_tokens" table
ALTER TABLE "refresh_tokens" ADD COLUMN "password_version" bigint NOT NULL DEFAULT 0;
-- Modify "users" table
ALTER TABLE "users" ADD COLUMN "password_version" bigint NOT NULL DEFAULT 0;

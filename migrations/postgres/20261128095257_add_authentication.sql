-- Modify "refresh_tokens" table
ALTER TABLE "refresh_tokens" ADD COLUMN "authenticated_at" timestamptz NULL, ADD COLUMN "amr" jsonb NOT NULL DEFAULT '[]';

-- The lock is that of a foreign key. It keeps the previous version from unlinking an identity that is being copied, and no more.
INSERT INTO "user_identities" ("id", "created_at", "updated_at", "tenant_id", "user_id", "provider", "subject")
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
  || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid, "created_at", "created_at", "tenant_id", "id", "oauth_provider", "oauth_id"
FROM "users" WHERE "oauth_provider" IS NOT NULL AND "oauth_id" IS NOT NULL FOR KEY SHARE
ON CONFLICT ("tenant_id", "provider", "subject") DO NOTHING;

-- Only this version changes identities by themselves, and it starts after this migration.
CREATE TRIGGER "identity_insert" AFTER INSERT ON "user_identities" FOR EACH ROW EXECUTE FUNCTION "identities_changed"();
CREATE TRIGGER "identity_delete" AFTER DELETE ON "user_identities" FOR EACH ROW EXECUTE FUNCTION "identities_changed"();

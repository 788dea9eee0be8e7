-- A session that is over by itself is no news, and it is not worth a call to say so: of a batch of them, the function took most of the time.
CREATE OR REPLACE FUNCTION "tenantry_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tenantry_changes', CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END ->> TG_ARGV[0]);
  RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS "sessions_changed" ON "refresh_tokens";
CREATE TRIGGER "sessions_changed" AFTER UPDATE OF "revoked", "expires_at" ON "refresh_tokens" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('id');
DROP TRIGGER IF EXISTS "sessions_deleted" ON "refresh_tokens";
CREATE TRIGGER "sessions_deleted" AFTER DELETE ON "refresh_tokens" FOR EACH ROW WHEN (OLD."expires_at" >= now()) EXECUTE FUNCTION "tenantry_changed"('id');

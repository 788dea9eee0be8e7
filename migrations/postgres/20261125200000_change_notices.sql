-- What every instance must hear of, in the transaction that changes it. The function reads columns by name, so that they may come and go
-- without it.
CREATE OR REPLACE FUNCTION "tenantry_changed"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  "changed" jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
  IF TG_OP = 'DELETE' AND ("changed" ->> 'expires_at')::timestamptz < now() THEN
    RETURN NULL; -- a session that is over by itself
  END IF;
  PERFORM pg_notify('tenantry_changes', "changed" ->> TG_ARGV[0]);
  RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS "users_changed" ON "users";
CREATE TRIGGER "users_changed" AFTER UPDATE OR DELETE ON "users" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('id');
-- A refresh moves a session on, and changes nothing that anybody remembers.
DROP TRIGGER IF EXISTS "sessions_changed" ON "refresh_tokens";
CREATE TRIGGER "sessions_changed" AFTER UPDATE OF "revoked", "expires_at" OR DELETE ON "refresh_tokens" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('id');
DROP TRIGGER IF EXISTS "assignments_changed" ON "user_roles";
CREATE TRIGGER "assignments_changed" AFTER UPDATE OR DELETE ON "user_roles" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('user_id');
-- Many that are made at once are one notice, which names nobody and means everybody.
CREATE OR REPLACE FUNCTION "tenantry_assigned"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM (SELECT FROM "made" LIMIT 101) AS "some") > 100 THEN
    PERFORM pg_notify('tenantry_changes', '');
  ELSE
    PERFORM pg_notify('tenantry_changes', "user_id"::text) FROM "made";
  END IF;
  RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS "assignments_made" ON "user_roles";
CREATE TRIGGER "assignments_made" AFTER INSERT ON "user_roles" REFERENCING NEW TABLE AS "made" FOR EACH STATEMENT EXECUTE FUNCTION "tenantry_assigned"();
DROP TRIGGER IF EXISTS "roles_changed" ON "roles";
CREATE TRIGGER "roles_changed" AFTER UPDATE OR DELETE ON "roles" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('tenant_id');
DROP TRIGGER IF EXISTS "tenants_changed" ON "tenants";
CREATE TRIGGER "tenants_changed" AFTER UPDATE OR DELETE ON "tenants" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('id');
DROP TRIGGER IF EXISTS "providers_changed" ON "oauth_providers";
CREATE TRIGGER "providers_changed" AFTER INSERT OR UPDATE OR DELETE ON "oauth_providers" FOR EACH ROW EXECUTE FUNCTION "tenantry_changed"('tenant_id');

-- Requests wait while this transaction waits for its locks, so it waits for a moment only. Run it again if it fails.
DO $$ BEGIN
  PERFORM set_config('lock_timeout', '2s', true);
  LOCK TABLE "tenants", "users", "oauth_providers" IN SHARE ROW EXCLUSIVE MODE;
END $$;
-- Create "user_identities" table
CREATE TABLE "user_identities" ("id" uuid NOT NULL, "created_at" timestamptz NOT NULL, "updated_at" timestamptz NOT NULL, "provider" character varying NOT NULL, "subject" character varying NOT NULL, "verified_by" character varying NOT NULL DEFAULT 'unknown', "tenant_id" uuid NOT NULL, "user_id" uuid NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "user_identities_tenants_tenant" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON UPDATE NO ACTION ON DELETE CASCADE, CONSTRAINT "user_identities_users_user" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE CASCADE);
-- Create index "idx_user_identity_subject" to table: "user_identities"
CREATE UNIQUE INDEX "idx_user_identity_subject" ON "user_identities" ("tenant_id", "provider", "subject");
-- Create index "idx_user_identity_user" to table: "user_identities"
CREATE UNIQUE INDEX "idx_user_identity_user" ON "user_identities" ("user_id", "provider");

-- Carries a change of the primary identity, which the previous version writes, into the identities. A statement that also raises
-- password_version revokes all sessions of the user, and therefore deletes all other identities: they may be an attacker's. It deletes
-- one identity otherwise. An identity of another user violates idx_user_identity_subject.
CREATE FUNCTION "primary_identity_changed"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM "user_identities" WHERE "user_id" = OLD."id" AND "tenant_id" = OLD."tenant_id"
      AND (NEW."password_version" > OLD."password_version" OR ("provider", "subject") = (OLD."oauth_provider", OLD."oauth_id"))
      AND ("provider", "subject") IS DISTINCT FROM (NEW."oauth_provider", NEW."oauth_id");
  END IF;
  IF NEW."oauth_provider" IS NOT NULL AND NEW."oauth_id" IS NOT NULL AND NOT EXISTS (
    SELECT FROM "user_identities" WHERE "user_id" = NEW."id" AND "tenant_id" = NEW."tenant_id"
      AND "provider" = NEW."oauth_provider" AND "subject" = NEW."oauth_id"
  ) THEN
    INSERT INTO "user_identities" ("id", "created_at", "updated_at", "tenant_id", "user_id", "provider", "subject", "verified_by")
    VALUES ((lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
      || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid, NEW."updated_at", NEW."updated_at", NEW."tenant_id", NEW."id", NEW."oauth_provider", NEW."oauth_id",
      CASE TG_OP WHEN 'INSERT' THEN 'registration' ELSE 'unknown' END);
  END IF;
  RETURN NULL;
END $$;

-- Keeps the primary identity of a user: the first identity, and after it the oldest that remains. The row of the user is locked first,
-- so that the next statement sees what concurrent transactions have committed.
CREATE FUNCTION "identities_changed"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM "users" WHERE "id" = NEW."user_id" AND "tenant_id" = NEW."tenant_id" FOR UPDATE;
    UPDATE "users" SET "oauth_provider" = NEW."provider", "oauth_id" = NEW."subject"
    WHERE "id" = NEW."user_id" AND "tenant_id" = NEW."tenant_id" AND "oauth_id" IS NULL;
    RETURN NULL;
  END IF;
  PERFORM FROM "users" WHERE "id" = OLD."user_id" AND "tenant_id" = OLD."tenant_id" FOR UPDATE;
  UPDATE "users" AS "u" SET ("oauth_provider", "oauth_id") = (
    SELECT "i"."provider", "i"."subject" FROM "user_identities" AS "i"
    WHERE "i"."user_id" = OLD."user_id" AND "i"."tenant_id" = OLD."tenant_id" ORDER BY "i"."created_at", "i"."id" LIMIT 1
  ) WHERE "u"."id" = OLD."user_id" AND "u"."tenant_id" = OLD."tenant_id" AND (
    "u"."oauth_provider" = OLD."provider" AND "u"."oauth_id" = OLD."subject"
    OR "u"."oauth_id" IS NULL AND EXISTS (
      SELECT FROM "user_identities" AS "i" WHERE "i"."user_id" = OLD."user_id" AND "i"."tenant_id" = OLD."tenant_id"
    )
  );
  RETURN NULL;
END $$;

-- Deletes the identities at a provider of a tenant with it. The previous version unlinks primary identities only.
CREATE FUNCTION "provider_deleted"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  DELETE FROM "user_identities" WHERE "tenant_id" = OLD."tenant_id" AND "provider" = OLD."id"::text;
  RETURN NULL;
END $$;

-- The functions run as their owner, so that a program which may change a user needs no right on the identities. They find no table of the
-- caller's temporary schema, and no other role may attach them to a table of its own.
DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION "primary_identity_changed"() SET search_path = %I, pg_temp', current_schema());
  EXECUTE format('ALTER FUNCTION "identities_changed"() SET search_path = %I, pg_temp', current_schema());
  EXECUTE format('ALTER FUNCTION "provider_deleted"() SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE EXECUTE ON FUNCTION "primary_identity_changed"(), "identities_changed"(), "provider_deleted"() FROM PUBLIC;

CREATE TRIGGER "identity_insert" AFTER INSERT ON "users" FOR EACH ROW WHEN (NEW."oauth_id" IS NOT NULL)
  EXECUTE FUNCTION "primary_identity_changed"();
CREATE TRIGGER "identity_update" AFTER UPDATE OF "oauth_provider", "oauth_id" ON "users" FOR EACH ROW
  WHEN (OLD."oauth_provider" IS DISTINCT FROM NEW."oauth_provider" OR OLD."oauth_id" IS DISTINCT FROM NEW."oauth_id")
  EXECUTE FUNCTION "primary_identity_changed"();
CREATE TRIGGER "identity_delete" AFTER DELETE ON "oauth_providers" FOR EACH ROW EXECUTE FUNCTION "provider_deleted"();

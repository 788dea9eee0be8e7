-- Drop index "idx_signing_key_active" from table: "signing_keys"
DROP INDEX "idx_signing_key_active";
-- No build before this one wrote a pending key, and active ones were unique.
-- atlas:nolint data_depend
-- Create index "idx_signing_key_state" to table: "signing_keys"
CREATE UNIQUE INDEX "idx_signing_key_state" ON "signing_keys" ("state") WHERE ((state)::text <> 'retiring'::text);
-- Create "throttles" table
CREATE TABLE "throttles" ("id" character varying NOT NULL, "excess" bigint NOT NULL, "blocked_until" bigint NOT NULL DEFAULT 0, "expires_at" bigint NOT NULL, PRIMARY KEY ("id"));
-- Create index "idx_throttle_expires" to table: "throttles"
CREATE INDEX "idx_throttle_expires" ON "throttles" ("expires_at");

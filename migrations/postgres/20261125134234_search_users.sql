-- Modify "users" table
ALTER TABLE "users" ADD COLUMN "full_name_folded" character varying NOT NULL DEFAULT '';
-- Names that are there are found without regard to case.
UPDATE "users" SET "full_name_folded" = lower("full_name");
-- Create index "idx_user_tenant_email" to table: "users"
CREATE INDEX "idx_user_tenant_email" ON "users" ("tenant_id", "email" text_pattern_ops);
-- Create index "idx_user_tenant_full_name" to table: "users"
CREATE INDEX "idx_user_tenant_full_name" ON "users" ("tenant_id", "full_name_folded" text_pattern_ops);

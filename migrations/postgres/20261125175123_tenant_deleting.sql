-- Modify "tenants" table
ALTER TABLE "tenants" ADD COLUMN "is_deleting" boolean NOT NULL DEFAULT false;

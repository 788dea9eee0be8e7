-- Add column "is_deleting" to table: "tenants"
ALTER TABLE `tenants` ADD COLUMN `is_deleting` bool NOT NULL DEFAULT false;

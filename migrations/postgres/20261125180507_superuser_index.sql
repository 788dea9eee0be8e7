-- Create index "idx_user_superuser" to table: "users"
CREATE INDEX "idx_user_superuser" ON "users" ("is_superuser") WHERE is_superuser;

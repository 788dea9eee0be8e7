// For operators who apply migrations to DATABASE_URL with the Atlas CLI of any version. internal/tools/migrations computes and checks
// migrations (task migrate, task lint). ATLAS_DEV_URL names an empty database in which Atlas replays the folder. Postgres requires it;
// SQLite uses a database in memory by default.
//
//   DATABASE_URL='postgres://…?search_path=public' atlas migrate apply --env postgres
//   DATABASE_URL='sqlite://data/tenantry.db?_fk=1' atlas migrate apply --env sqlite

locals {
  dev = getenv("ATLAS_DEV_URL")
}

env "postgres" {
  src = "ent://ent/schema"
  url = getenv("DATABASE_URL")
  dev = local.dev
  migration {
    dir              = "file://migrations/postgres"
    revisions_schema = "public"
  }
}

env "sqlite" {
  src = "ent://ent/schema"
  url = getenv("DATABASE_URL")
  dev = local.dev != "" ? local.dev : "sqlite://dev?mode=memory&_fk=1"
  migration {
    dir = "file://migrations/sqlite"
  }
}

lint {
  latest = 1
  destructive {
    error = true
  }
  data_depend {
    error = true
  }
}

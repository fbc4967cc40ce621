-- control: how each tracking plan and the traffic of its sources differ, as of the last daily look. Read by the primary key.
CREATE TABLE plan_drift (
  plan TEXT PRIMARY KEY NOT NULL,
  at_s REAL NOT NULL,
  report TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- workspace: users whose events are refused, as SHA-256 of a salt (meta 'suppression_salt') and their id. Read whole at each start.
CREATE TABLE suppression (
  hash BLOB PRIMARY KEY NOT NULL,
  since_s REAL NOT NULL
) STRICT, WITHOUT ROWID;

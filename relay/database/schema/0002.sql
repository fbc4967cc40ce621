-- control: events that broke their plan (kind: the type of violation) or had no rule in it (kind ''), per hour since 1970; kept 30 days.
-- samples: JSON [[seq, received_ms], ...], newest first, up to ten. Read and trimmed by range of hour.
CREATE TABLE violation (
  hour INTEGER NOT NULL,
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  event TEXT NOT NULL,
  kind TEXT NOT NULL,
  field TEXT NOT NULL,
  description TEXT NOT NULL,
  n INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  samples TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (hour, source, type, event, kind, field)
) STRICT, WITHOUT ROWID;

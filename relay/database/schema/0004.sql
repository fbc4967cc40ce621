-- workspace: what the UI owns of each version (JSON of workspace.stored); the highest version's is in use.
ALTER TABLE workspace ADD COLUMN stored TEXT NOT NULL DEFAULT '{}';

-- control: what each source has sent (fieldbook), one row per call type and event name. fields: JSON by path, of a sample of the events.
-- type '': the rest of the source; its count is of events that found no room, its fields those of every event's context.
-- Read whole at each start; bounded per source.
CREATE TABLE seen (
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  count INTEGER NOT NULL,
  blocked INTEGER NOT NULL,
  walked INTEGER NOT NULL,
  omitted INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  fields TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (source, type, name)
) STRICT;

-- control: the seq up to which events are counted in `seen`, so that none is counted twice.
INSERT INTO meta (key, value) VALUES ('seen_upto', 0);

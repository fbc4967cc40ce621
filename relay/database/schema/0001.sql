-- Every table of every owner, one number. A step is never changed once released: the next one is 0002.sql.
-- Times named _s are unix seconds, _ms unix milliseconds. JSON is TEXT.

-- Single values: head (last seq given, never used twice), clean (1 after a proper stop), dedup_current, dedup_rotated_s ...
CREATE TABLE meta (
  key TEXT PRIMARY KEY NOT NULL,
  value ANY
) STRICT;
INSERT INTO meta (key, value) VALUES ('head', 0), ('clean', 1), ('dedup_current', 0), ('dedup_rotated_s', 0);

-- outbox: what came in. `seq` is given by the writer from meta 'head'. Read by range of seq only, so that an append costs one b-tree.
-- key1, key2: the exact user keys (lanes, erasure); NULL: none.
CREATE TABLE log (
  seq INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  key1 TEXT,
  key2 TEXT,
  type TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- outbox: 64-bit hashes of (source, messageId), three generations; the oldest is dropped whole. Looked up by hash.
CREATE TABLE dedup_0 (hash INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
CREATE TABLE dedup_1 (hash INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
CREATE TABLE dedup_2 (hash INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;

-- outbox: the last hashes, not in a generation yet. One row per append: those of the seqs from `first` on, 8 bytes each, little-endian.
CREATE TABLE dedup_recent (first INTEGER PRIMARY KEY, hashes BLOB NOT NULL CHECK (length(hashes) % 8 = 0)) STRICT;

-- outbox: how far a consumer is, and its books. `end`: last seq of a replay, NULL: follows the head. `ahead`: bitmap of done seqs above pos.
CREATE TABLE cursor (
  name TEXT PRIMARY KEY NOT NULL,
  start INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  ahead BLOB NOT NULL DEFAULT x'',
  "end" INTEGER,
  epoch INTEGER NOT NULL DEFAULT 0,
  extra INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0,
  late INTEGER NOT NULL DEFAULT 0,
  doors TEXT NOT NULL DEFAULT '{}',
  state TEXT NOT NULL DEFAULT '{}'
) STRICT;

-- outbox: exceptions only: units that wait (retry, parked) or are dead. Read by the primary key (a consumer's rows in order of seq).
CREATE TABLE row (
  consumer TEXT NOT NULL,
  seq INTEGER NOT NULL,
  sub TEXT NOT NULL,
  state TEXT NOT NULL,
  source TEXT NOT NULL,
  key1 TEXT,
  key2 TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  first_s REAL NOT NULL DEFAULT 0,
  due_s REAL NOT NULL DEFAULT 0,
  resend INTEGER NOT NULL DEFAULT 0,
  code TEXT NOT NULL DEFAULT '',
  status INTEGER,
  changed_s REAL NOT NULL DEFAULT 0,
  detail BLOB NOT NULL DEFAULT x'',
  PRIMARY KEY (consumer, seq, sub)
) STRICT, WITHOUT ROWID;
CREATE INDEX row_seq ON row (seq);                            -- retention and timelines: does anybody need this event?
CREATE INDEX row_dead ON row (consumer, state, changed_s);    -- dead letters by time of death; how many wait in which state

-- outbox: one packed line of attempts per settled batch of a consumer, seqs first..last.
CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  consumer TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  at_s REAL NOT NULL,
  packed BLOB NOT NULL
) STRICT;
CREATE INDEX journal_consumer ON journal (consumer, first);   -- the timeline of one event

-- outbox: counts per minute (minutes since 1970). destination '': the source side. first 1: first attempt. Read by range of minute.
CREATE TABLE tally (
  minute INTEGER NOT NULL,
  source TEXT NOT NULL,
  destination TEXT NOT NULL DEFAULT '',
  stage TEXT NOT NULL,
  code TEXT NOT NULL,
  first INTEGER NOT NULL DEFAULT 0,
  n INTEGER NOT NULL,
  PRIMARY KEY (minute, source, destination, stage, code, first)
) STRICT, WITHOUT ROWID;

-- outbox: deliveries per destination, minute and bucket of the time since they were received (bounds in observe/latency). Read by range of minute.
CREATE TABLE latency (
  minute INTEGER NOT NULL,
  destination TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (minute, destination, bucket)
) STRICT, WITHOUT ROWID;

-- outbox: the last ten failed attempts and stopped events per destination and code, for people. detail: JSON {request, response}, secrets masked.
CREATE TABLE sample (
  id INTEGER PRIMARY KEY,
  destination TEXT NOT NULL,
  code TEXT NOT NULL,
  result TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at_s REAL NOT NULL,
  attempt INTEGER NOT NULL,
  status INTEGER,
  duration_ms REAL NOT NULL,
  detail BLOB NOT NULL,
  message_id TEXT NOT NULL
) STRICT;
CREATE INDEX sample_code ON sample (destination, code, at_s);  -- the samples of one code

-- outbox: refused messages and duplicates, for people; bounded by id. seq: of the event that a duplicate repeats, else 0.
CREATE TABLE refused (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  message_id TEXT NOT NULL,
  code TEXT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  user_id TEXT NOT NULL,
  anonymous_id TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX refused_message ON refused (message_id);         -- the story of one message

-- workspace: the stored part of each version; the highest is in use.
CREATE TABLE workspace (
  version INTEGER PRIMARY KEY,
  created_s REAL NOT NULL,
  created_by TEXT NOT NULL DEFAULT '',
  digest TEXT NOT NULL DEFAULT '',
  document TEXT NOT NULL
) STRICT;

-- access: management tokens, stored as SHA-256; found by their public prefix.
CREATE TABLE token (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  prefix TEXT NOT NULL,
  hash BLOB NOT NULL,
  created_s REAL NOT NULL,
  expires_s REAL,
  last_used_s REAL
) STRICT;
CREATE INDEX token_prefix ON token (prefix);                  -- each login

-- access: logins of browsers, found by a hash of the cookie. token: the id of a token, or `cli`, `ui`.
CREATE TABLE session (
  hash BLOB PRIMARY KEY NOT NULL,
  token TEXT NOT NULL,
  address TEXT NOT NULL DEFAULT '',
  created_s REAL NOT NULL,
  expires_s REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_token ON session (token, created_s);     -- all sessions of a revoked token; the oldest of one

-- access: who did what; read newest first by id.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at_s REAL NOT NULL,
  operator TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT ''
) STRICT;

-- control: long work (replay, forget, dry run) with its progress, so that it goes on after a restart.
CREATE TABLE job (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  destination TEXT,
  state TEXT NOT NULL,
  spec TEXT NOT NULL DEFAULT '{}',
  progress TEXT NOT NULL DEFAULT '{}',
  created_s REAL NOT NULL,
  changed_s REAL NOT NULL
) STRICT;

-- alerts: each alert that fired, with what was told of it. told: events appended so far; untold: what must be told next ('' nothing).
-- Read by state (few fire), and newest first by id.
CREATE TABLE alert (
  id INTEGER PRIMARY KEY,
  cause TEXT NOT NULL,
  state TEXT NOT NULL,
  rule TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject_kind TEXT NOT NULL,
  slug TEXT NOT NULL,
  value REAL NOT NULL,
  threshold REAL NOT NULL,
  opened_s REAL NOT NULL,
  resolved_s REAL,
  reminded_s REAL,
  muted_until_s REAL,
  muted_by TEXT NOT NULL DEFAULT '',
  content TEXT NOT NULL,
  told INTEGER NOT NULL DEFAULT 0,
  untold TEXT NOT NULL DEFAULT '',
  seq INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alert_state ON alert (state, id);                -- what fires, at each start
CREATE INDEX alert_opened ON alert (opened_s);                -- how often a rule fired since a time

-- alerts: causes about which nothing is told until a time.
CREATE TABLE mute (
  cause TEXT PRIMARY KEY NOT NULL,
  until_s REAL NOT NULL,
  by TEXT NOT NULL
) STRICT;

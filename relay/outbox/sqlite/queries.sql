-- Named statements of the SQLite outbox. `:name` parameters; lists arrive as one JSON array. Each says which index it relies on.

-- name: insert_log
-- Completed with one (?,?,?,?,?,?,?) per event: one multi-row statement, never executemany.
INSERT INTO log (seq, source, key1, key2, type, received_ms, body) VALUES

-- name: events_after
-- log primary key.
SELECT seq, source, received_ms, body FROM log WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: events_at
-- log primary key, one look-up per seq.
SELECT seq, source, received_ms, body FROM log WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: search
-- log primary key over one slice; bodies are compared row by row.
SELECT seq, source, received_ms, body FROM log WHERE seq > :after AND seq <= :upto AND instr(body, :needle) > 0 ORDER BY seq

-- name: sources_between
-- log primary key.
SELECT seq, source FROM log WHERE seq BETWEEN :first AND :last ORDER BY seq

-- name: seqs_of_keys
-- log primary key over one slice; keys are compared row by row.
SELECT seq FROM log WHERE seq > :after AND seq <= :upto
  AND (key1 IN (SELECT value FROM json_each(:keys)) OR key2 IN (SELECT value FROM json_each(:keys)))

-- name: bodies
-- log primary key over one slice; sources are compared row by row.
SELECT seq, body FROM log WHERE seq > :after AND seq <= :upto AND source = :source AND type <> 'deleted'

-- name: tombstone
UPDATE log SET type = 'deleted', key1 = NULL, key2 = NULL, body = x'' WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: tombstones
-- log primary key.
SELECT seq FROM log WHERE seq IN (SELECT value FROM json_each(:seqs)) AND type = 'deleted'

-- name: oldest
SELECT min(seq) FROM log

-- name: received_at
-- log primary key: the first row at or after a seq.
SELECT seq, received_ms FROM log WHERE seq >= :seq ORDER BY seq LIMIT 1

-- name: delete_log
-- log primary key; row_seq for the exception rows that still need an event.
DELETE FROM log WHERE seq IN (
  SELECT seq FROM log WHERE seq <= :upto AND NOT EXISTS (SELECT 1 FROM row WHERE row.seq = log.seq) ORDER BY seq LIMIT :limit)

-- name: next_refused
SELECT coalesce(max(id), 0) + 1 FROM refused

-- name: keep_refused
INSERT INTO refused (id, source, message_id, code, type, name, user_id, anonymous_id, received_ms, seq, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: refused_at
-- refused primary key.
SELECT id, source, message_id, code, type, name, user_id, anonymous_id, received_ms, seq, body FROM refused WHERE id = :id

-- name: refused_of
-- refused_message.
SELECT id, source, message_id, code, type, name, user_id, anonymous_id, received_ms, seq, body
FROM refused WHERE message_id = :message_id ORDER BY id DESC LIMIT :limit

-- name: refused_newest
-- refused primary key, backwards.
SELECT id, source, message_id, code, type, name, user_id, anonymous_id, received_ms, seq, body FROM refused ORDER BY id DESC LIMIT :limit

-- name: delete_refused
-- refused primary key: ids grow with time.
DELETE FROM refused WHERE id IN (
  SELECT id FROM refused WHERE id < (SELECT max(id) FROM refused) AND (received_ms < :before_ms OR id <= (SELECT max(id) FROM refused) - :keep)
  ORDER BY id LIMIT 1000)

-- name: every_refused
-- The whole table, which is bounded.
SELECT id, source, message_id, code, type, name, user_id, anonymous_id, received_ms, seq, body FROM refused

-- name: empty_refused_at
-- refused primary key.
UPDATE refused SET message_id = '', type = '', name = '', user_id = '', anonymous_id = '', seq = 0, body = x''
WHERE id IN (SELECT value FROM json_each(:ids)) AND id = (SELECT max(id) FROM refused)

-- name: delete_refused_at
-- refused primary key.
DELETE FROM refused WHERE id IN (SELECT value FROM json_each(:ids)) AND id < (SELECT max(id) FROM refused)

-- name: known
-- dedup primary keys, one look-up per hash and generation.
SELECT value, coalesce(dedup_0.seq, dedup_1.seq, dedup_2.seq) AS found FROM json_each(:hashes)
  LEFT JOIN dedup_0 ON dedup_0.hash = value
  LEFT JOIN dedup_1 ON dedup_1.hash = value
  LEFT JOIN dedup_2 ON dedup_2.hash = value
WHERE found IS NOT NULL

-- name: recent
-- The whole table, which is bounded: what is not in the b-trees yet.
SELECT first, hashes FROM dedup_recent

-- name: remember
INSERT INTO dedup_recent (first, hashes) VALUES (?, ?)

-- name: forget_recent
-- dedup_recent primary key.
DELETE FROM dedup_recent WHERE first <= :upto

-- name: get_meta
SELECT value FROM meta WHERE key = :key

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: source_ids
-- tally primary key, whole; and the end of the log, whose events the router may not have counted yet.
SELECT source FROM tally UNION SELECT source FROM (SELECT source FROM log ORDER BY seq DESC LIMIT 1000)

-- name: cursor
SELECT name, start, pos, ahead, "end", epoch, extra, skipped, late, doors, state FROM cursor WHERE name = :name

-- name: cursors
SELECT name, start, pos, ahead, "end", epoch, extra, skipped, late, doors, state FROM cursor ORDER BY name

-- name: put_cursor
INSERT OR REPLACE INTO cursor (name, start, pos, ahead, "end", epoch, extra, skipped, late, doors, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: delete_cursor
DELETE FROM cursor WHERE name = :name

-- name: delete_rows_of
DELETE FROM row WHERE consumer = :name

-- name: open_rows
-- row primary key.
SELECT seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, detail
FROM row WHERE consumer = :name AND state <> 'dead' ORDER BY seq, sub

-- name: rows_at
-- row primary key.
SELECT seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, detail
FROM row WHERE consumer = :name AND seq IN (SELECT value FROM json_each(:seqs)) ORDER BY seq, sub

-- name: rows_of
-- row_seq.
SELECT consumer, seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, detail FROM row WHERE seq = :seq

-- name: rows_between
-- row_seq.
SELECT consumer, seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, x''
FROM row WHERE seq BETWEEN :first AND :last

-- name: dead_rows
-- row primary key, in the order of the answer; `seqs` NULL: all.
SELECT seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, detail
FROM row WHERE consumer = :name AND state = 'dead' AND seq > :after AND (:code = '' OR code = :code) AND changed_s >= :since_s
  AND (:until_s = 0 OR changed_s < :until_s) AND (:seqs IS NULL OR seq IN (SELECT value FROM json_each(:seqs)))
ORDER BY seq, sub LIMIT :limit

-- name: put_row
INSERT OR REPLACE INTO row (consumer, seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: every_row
-- The whole table: what waits is bounded, what is dead is kept for some days.
SELECT consumer, seq, sub, state, key1, key2, detail FROM row

-- name: delete_row
DELETE FROM row WHERE consumer = ? AND seq = ? AND sub = ?

-- name: count_rows
-- row_dead holds all that is asked for.
SELECT state, count(*), min(seq) FROM row WHERE consumer = :name GROUP BY state

-- name: delete_dead_before
-- row_dead, consumer by consumer: CROSS JOIN keeps the order of the tables.
DELETE FROM row WHERE (consumer, seq, sub) IN (
  SELECT row.consumer, row.seq, row.sub FROM cursor CROSS JOIN row ON row.consumer = cursor.name
  WHERE row.state = 'dead' AND row.changed_s < :before_s LIMIT :limit)

-- name: write_journal
INSERT INTO journal (consumer, first, last, at_s, packed) VALUES (?, ?, ?, ?, ?)

-- name: journal_of
-- journal_consumer, consumer by consumer: CROSS JOIN keeps the order of the tables.
SELECT journal.consumer, journal.packed FROM cursor CROSS JOIN journal ON journal.consumer = cursor.name
WHERE journal.first <= :seq AND journal.last >= :seq ORDER BY journal.id

-- name: journal_before
-- journal primary key, backwards.
SELECT id, consumer, packed FROM journal WHERE id < :line ORDER BY id DESC LIMIT :limit

-- name: delete_journal_before
-- journal primary key: ids grow with time.
DELETE FROM journal WHERE id IN (SELECT id FROM (SELECT id, at_s FROM journal ORDER BY id LIMIT 1000) WHERE at_s < :at_s)

-- name: count
INSERT INTO tally (minute, source, destination, stage, code, first, n) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (minute, source, destination, stage, code, first) DO UPDATE SET n = n + excluded.n

-- name: tallies
-- tally primary key.
SELECT minute, source, destination, stage, code, first, n FROM tally WHERE minute >= :since AND minute < :until

-- name: delete_tallies_before
-- tally primary key.
DELETE FROM tally WHERE minute < :minute

-- name: tally_spans
-- tally primary key.
SELECT minute / :step * :step AS span, iif(destination = '', source, '') AS owner, destination, stage, code, sum(n) FROM tally
WHERE minute >= :since AND minute < :until GROUP BY span, owner, destination, stage, code

-- name: add_latency
INSERT INTO latency (minute, destination, bucket, n) VALUES (?, ?, ?, ?)
ON CONFLICT (minute, destination, bucket) DO UPDATE SET n = n + excluded.n

-- name: latency_spans
-- latency primary key.
SELECT minute / :step * :step AS span, destination, bucket, sum(n) FROM latency
WHERE minute >= :since AND minute < :until GROUP BY span, destination, bucket

-- name: delete_latencies_before
-- latency primary key.
DELETE FROM latency WHERE minute < :minute

-- name: uneven_tally
-- tally primary key, over what is folded already.
SELECT minute FROM tally WHERE minute < :before AND minute % :step <> 0 ORDER BY minute LIMIT 1

-- name: uneven_latency
-- latency primary key, over what is folded already.
SELECT minute FROM latency WHERE minute < :before AND minute % :step <> 0 ORDER BY minute LIMIT 1

-- name: fold_tallies
-- tally primary key.
INSERT INTO tally (minute, source, destination, stage, code, first, n)
SELECT :first, source, destination, stage, code, first, sum(n) FROM tally WHERE minute > :first AND minute < :until
GROUP BY source, destination, stage, code, first
ON CONFLICT (minute, source, destination, stage, code, first) DO UPDATE SET n = n + excluded.n

-- name: delete_folded_tallies
-- tally primary key.
DELETE FROM tally WHERE minute > :first AND minute < :until

-- name: fold_latencies
-- latency primary key.
INSERT INTO latency (minute, destination, bucket, n)
SELECT :first, destination, bucket, sum(n) FROM latency WHERE minute > :first AND minute < :until GROUP BY destination, bucket
ON CONFLICT (minute, destination, bucket) DO UPDATE SET n = n + excluded.n

-- name: delete_folded_latencies
-- latency primary key.
DELETE FROM latency WHERE minute > :first AND minute < :until

-- name: put_sample
INSERT INTO sample (destination, code, result, seq, at_s, attempt, status, duration_ms, detail, message_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: samples
-- sample_code.
SELECT destination, code, result, seq, at_s, attempt, status, duration_ms, detail, message_id FROM sample
WHERE destination = :destination AND code = :code ORDER BY at_s DESC, id DESC

-- name: sample_groups
-- sample_code; with max() SQLite takes the other columns from the row that holds it.
SELECT code, count(*), result, status, max(at_s) FROM sample WHERE destination = :destination GROUP BY code ORDER BY code

-- name: delete_old_samples
-- sample_code.
DELETE FROM sample WHERE id IN (
  SELECT id FROM sample WHERE destination = :destination AND code = :code ORDER BY at_s DESC, id DESC LIMIT -1 OFFSET :keep)

-- name: every_sample
-- The whole table: ten rows per destination and code; log primary key for each.
SELECT sample.id, log.key1, log.key2, sample.detail FROM sample LEFT JOIN log ON log.seq = sample.seq

-- name: delete_samples_at
-- sample primary key.
DELETE FROM sample WHERE id IN (SELECT value FROM json_each(:ids))

-- name: delete_samples_of
-- The whole table: ten rows per destination and code.
DELETE FROM sample WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: delete_samples_for
-- sample_code.
DELETE FROM sample WHERE destination = :destination

-- name: delete_samples_before
-- The whole table: ten rows per destination and code.
DELETE FROM sample WHERE at_s < :at_s

-- name: waiting_codes
-- row_dead, then one look-up per row that waits: a destination has max_waiting of them at most.
SELECT code, count(*) FROM row INDEXED BY row_dead WHERE consumer = :name AND state = 'retry' GROUP BY code

-- name: seen
-- log primary key over one page. In SQL, so that the interpreter is free meanwhile. A body that SQLite cannot read counts under its type alone.
SELECT type, CASE WHEN json_valid(text) THEN coalesce(json_extract(text, iif(type = 'track', '$.event', '$.name')), '') ELSE '' END AS name,
  CASE WHEN json_valid(text) THEN coalesce(json_extract(text, '$.context.library.name'), '') ELSE '' END AS library,
  CASE WHEN json_valid(text) THEN coalesce(json_extract(text, '$.context.library.version'), '') ELSE '' END AS version,
  count(*), min(received_ms), max(received_ms)
FROM (SELECT type, received_ms, CAST(body AS TEXT) AS text FROM log WHERE seq > :after AND seq <= :upto AND source = :source AND type <> 'deleted')
GROUP BY 1, 2, 3, 4

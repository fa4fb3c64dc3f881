-- A file of schema version 2, as the coordinator of that time left it: one batch completed, one failed by one of
-- its requests, one that workers are at, both of them under idempotency keys.
BEGIN TRANSACTION;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    game_date TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('pending', 'dispatched', 'completed', 'failed', 'cancelled', 'stalled')
    ),
    slate TEXT NOT NULL,
    dispatch TEXT NOT NULL,
    set_aside INTEGER NOT NULL,
    requested INTEGER NOT NULL DEFAULT 0,
    rounds INTEGER NOT NULL DEFAULT 0,
    dispatched INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    late INTEGER NOT NULL DEFAULT 0,
    stamp TEXT NOT NULL,
    reasons TEXT NOT NULL DEFAULT '[]',
    break_glass TEXT,
    idempotency_key TEXT UNIQUE,
    created_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    ended_at TEXT,
    error TEXT,
    ending TEXT
);
INSERT INTO "batches" VALUES(1,'2026-02-03-0a0a0a0a','2026-02-03','completed','a file','local',1,3,1,3,3,0,0,0,'{"service":"prediction-worker","gate_decision":"warn","enforced":true,"not_enforced_because":null,"live_revisions":["w-1"],"live_commits":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],"live_url":null,"target_commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","policy_hash":"0123456789ab"}','[]',NULL,NULL,'2026-02-05T16:00:00.000+00:00','2026-02-05T16:00:00.000+00:00','2026-02-05T16:00:00.000+00:00',NULL,NULL);
INSERT INTO "batches" VALUES(2,'2026-02-04-0b0b0b0b','2026-02-04','failed','a file','pubsub',1,3,1,3,1,1,0,0,'{"service":"prediction-worker","gate_decision":"warn","enforced":true,"not_enforced_because":null,"live_revisions":["w-1"],"live_commits":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],"live_url":null,"target_commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","policy_hash":"0123456789ab"}','[]',NULL,'nightly-4','2026-02-05T16:00:00.000+00:00','2026-02-05T16:00:00.000+00:00','2026-02-05T16:00:00.000+00:00','1 of 3 requests failed: P001: no games',NULL);
INSERT INTO "batches" VALUES(3,'2026-02-05-0c0c0c0c','2026-02-05','dispatched','a file','pubsub',1,3,1,3,1,0,0,0,'{"service":"prediction-worker","gate_decision":"warn","enforced":true,"not_enforced_because":null,"live_revisions":["w-1"],"live_commits":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],"live_url":null,"target_commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","policy_hash":"0123456789ab"}','[]',NULL,'nightly-5','2026-02-05T16:00:00.000+00:00','2026-02-05T16:00:00.000+00:00',NULL,NULL,NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (
    batch INTEGER NOT NULL REFERENCES batches (number),
    player_id TEXT NOT NULL,
    player_name TEXT NOT NULL,
    game_id TEXT NOT NULL,
    recent_points TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dispatched', 'completed', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    points REAL,
    error TEXT,
    worker_revision TEXT,
    worker_commit TEXT,
    attempt INTEGER,
    message_id TEXT,
    settled_at TEXT,
    PRIMARY KEY (batch, player_id)
) WITHOUT ROWID;
INSERT INTO "requests" VALUES(1,'P000','N','G','[1.0, 2.5]','completed',1,7.5,NULL,'w-1','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,NULL,'2026-02-05T16:00:00.000+00:00');
INSERT INTO "requests" VALUES(1,'P001','N','G','[1.0, 2.5]','completed',1,7.5,NULL,'w-1','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,NULL,'2026-02-05T16:00:00.000+00:00');
INSERT INTO "requests" VALUES(1,'P002','N','G','[1.0, 2.5]','completed',1,7.5,NULL,'w-1','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,NULL,'2026-02-05T16:00:00.000+00:00');
INSERT INTO "requests" VALUES(2,'P000','N','G','[1.0, 2.5]','completed',1,8.25,NULL,'w-1','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,NULL,'2026-02-05T16:00:00.000+00:00');
INSERT INTO "requests" VALUES(2,'P001','N','G','[1.0, 2.5]','failed',1,NULL,'no games',NULL,NULL,1,NULL,'2026-02-05T16:00:00.000+00:00');
INSERT INTO "requests" VALUES(2,'P002','N','G','[1.0, 2.5]','dispatched',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "requests" VALUES(3,'P000','N','G','[1.0, 2.5]','dispatched',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "requests" VALUES(3,'P001','N','G','[1.0, 2.5]','completed',1,7.5,NULL,'w-1','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,NULL,'2026-02-05T16:00:00.000+00:00');
INSERT INTO "requests" VALUES(3,'P002','N','G','[1.0, 2.5]','dispatched',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE UNIQUE INDEX one_active_batch ON batches (game_date)
    WHERE state IN ('pending', 'dispatched', 'stalled');
CREATE VIEW predictions AS
    SELECT batches.id AS batch_id, player_id, points, worker_revision, worker_commit, settled_at
    FROM requests JOIN batches ON batch = number WHERE requests.state = 'completed';
COMMIT;
PRAGMA user_version = 2;

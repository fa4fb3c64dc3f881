-- A file of schema version 1, as the coordinator of that time left it: one batch completed, one failed
-- halfway, one pending whose coordinator was killed.
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    game_date TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'completed', 'failed')),
    slate TEXT NOT NULL,
    set_aside INTEGER NOT NULL,
    decision TEXT NOT NULL,
    enforced INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    error TEXT
);
INSERT INTO "batches" VALUES(1,'2026-02-04','completed','the shipped slate 2026-02-05.csv',1,'allow',1,'2026-02-05T16:00:00+00:00','2026-02-05T16:01:00+00:00',NULL);
INSERT INTO "batches" VALUES(2,'2026-02-05','failed','the shipped slate 2026-02-05.csv',1,'warn',1,'2026-02-05T16:00:00+00:00','2026-02-05T16:02:00+00:00','the worker failed on player P1');
INSERT INTO "batches" VALUES(3,'2026-02-05','pending','the shipped slate 2026-02-05.csv',1,'deny',0,'2026-02-05T16:03:00+00:00',NULL,NULL);
CREATE TABLE predictions (
    batch_id INTEGER NOT NULL,
    player_id TEXT NOT NULL,
    points REAL NOT NULL,
    PRIMARY KEY (batch_id, player_id),
    FOREIGN KEY (batch_id, player_id) REFERENCES requests (batch_id, player_id)
) WITHOUT ROWID;
INSERT INTO "predictions" VALUES(1,'P0',7.5);
INSERT INTO "predictions" VALUES(1,'P1',7.5);
INSERT INTO "predictions" VALUES(2,'P0',1.25);
INSERT INTO "predictions" VALUES(3,'P1',3.0);
CREATE TABLE requests (
    batch_id INTEGER NOT NULL REFERENCES batches (id),
    player_id TEXT NOT NULL,
    player_name TEXT NOT NULL,
    game_id TEXT NOT NULL,
    recent_points TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'completed')),
    PRIMARY KEY (batch_id, player_id)
) WITHOUT ROWID;
INSERT INTO "requests" VALUES(1,'P0','Öner 0','G','[1.0, 2.5]','completed');
INSERT INTO "requests" VALUES(1,'P1','Öner 1','G','[1.0, 2.5]','completed');
INSERT INTO "requests" VALUES(2,'P0','Öner 0','G','[1.0, 2.5]','completed');
INSERT INTO "requests" VALUES(2,'P1','Öner 1','G','[1.0, 2.5]','pending');
INSERT INTO "requests" VALUES(3,'P0','Öner 0','G','[1.0, 2.5]','pending');
INSERT INTO "requests" VALUES(3,'P1','Öner 1','G','[1.0, 2.5]','completed');
INSERT INTO "requests" VALUES(3,'P2','Öner 2','G','[1.0, 2.5]','pending');
COMMIT;

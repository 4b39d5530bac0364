CREATE TABLE apps (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    application TEXT NOT NULL,
    uid TEXT NOT NULL UNIQUE,
    core TEXT NOT NULL,
    UNIQUE (account, application)
) STRICT;

CREATE TABLE studies (
    app INTEGER PRIMARY KEY REFERENCES apps (id),
    seed INTEGER NOT NULL,
    plan TEXT NOT NULL,
    objective TEXT,
    baseline REAL,
    facts TEXT
) STRICT;

CREATE TABLE trials (
    app INTEGER NOT NULL REFERENCES apps (id),
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    score REAL,
    settings TEXT NOT NULL,
    status TEXT,
    reason TEXT,
    message TEXT,
    started INTEGER NOT NULL,
    ended INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (app, number)
) STRICT;

CREATE TABLE commands (
    app INTEGER NOT NULL REFERENCES apps (id),
    seq INTEGER NOT NULL,
    uid TEXT NOT NULL UNIQUE,
    operation TEXT NOT NULL,
    status TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (app, seq)
) STRICT;

CREATE TABLE measurements (
    app INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    trial INTEGER NOT NULL,
    score REAL,
    body TEXT NOT NULL,
    PRIMARY KEY (app, seq),
    FOREIGN KEY (app, seq) REFERENCES commands (app, seq)
) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES apps (id),
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TRIGGER events_are_kept BEFORE UPDATE ON events
BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;

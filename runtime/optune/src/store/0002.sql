-- An application can have several studies, one after the other.
ALTER TABLE apps ADD COLUMN study INTEGER NOT NULL DEFAULT 1;
ALTER TABLE commands ADD COLUMN study INTEGER NOT NULL DEFAULT 1;
ALTER TABLE measurements ADD COLUMN study INTEGER NOT NULL DEFAULT 1;

CREATE TABLE all_studies (
    app INTEGER NOT NULL REFERENCES apps (id),
    number INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    plan TEXT NOT NULL,
    objective TEXT,
    baseline REAL,
    facts TEXT,
    -- How it ended, once another one has begun.
    core TEXT,
    PRIMARY KEY (app, number)
) STRICT;
INSERT INTO all_studies (app, number, seed, plan, objective, baseline, facts)
    SELECT app, 1, seed, plan, objective, baseline, facts FROM studies;
DROP TABLE studies;
ALTER TABLE all_studies RENAME TO studies;

CREATE TABLE all_trials (
    app INTEGER NOT NULL REFERENCES apps (id),
    study INTEGER NOT NULL,
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
    PRIMARY KEY (app, study, number)
) STRICT;
INSERT INTO all_trials
    SELECT app, 1, number, state, score, settings, status, reason, message, started, ended, body
    FROM trials;
DROP TABLE trials;
ALTER TABLE all_trials RENAME TO trials;

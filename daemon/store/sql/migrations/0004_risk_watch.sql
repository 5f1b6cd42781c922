-- The daily risk watch, one row a session; and the account beside its benchmark by sector, one row a session.

CREATE TABLE risk_watch (
    session date PRIMARY KEY,
    at timestamptz NOT NULL,
    watch jsonb NOT NULL,
    standing jsonb NOT NULL
);

CREATE TABLE sector_sessions (
    session date PRIMARY KEY,
    sectors jsonb NOT NULL
);

CREATE INDEX ledger_transactions_by_time ON ledger_transactions (at);

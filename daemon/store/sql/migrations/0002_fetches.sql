-- What was asked of which source, when, with what result; every answer that came; and what each source is allowed now.

ALTER TABLE watermarks ADD COLUMN source text;
UPDATE watermarks SET source = CASE dataset
    WHEN 'bars_daily' THEN 'alpaca_bars'
    WHEN 'corporate_actions' THEN 'alpaca_actions'
    WHEN 'congress_trades' THEN 'quiver_congress'
    WHEN 'constituents' THEN 'datahub_constituents'
    WHEN 'index_membership' THEN 'datahub_membership'
    WHEN 'vix' THEN 'cboe_vix'
    ELSE dataset
END;
ALTER TABLE watermarks ALTER COLUMN source SET NOT NULL;
ALTER TABLE watermarks DROP CONSTRAINT watermarks_pkey;
ALTER TABLE watermarks ADD PRIMARY KEY (dataset, source);

CREATE TABLE fetch_options (
    hash text PRIMARY KEY,
    options jsonb NOT NULL
);

CREATE TABLE fetches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset text NOT NULL,
    source text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    backfill boolean NOT NULL,
    partial boolean NOT NULL DEFAULT false,
    options_hash text NOT NULL REFERENCES fetch_options,
    stamped_at timestamptz,
    outcome text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'success', 'failed', 'interrupted')),
    error_type text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    new bigint NOT NULL DEFAULT 0,
    revised bigint NOT NULL DEFAULT 0,
    seen bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    withdrawn bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
);
CREATE INDEX fetches_by_source ON fetches (dataset, source, id);

CREATE TABLE responses (
    fetch_id bigint NOT NULL REFERENCES fetches,
    seq int NOT NULL,
    at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,
    source text NOT NULL,
    rate_group text NOT NULL,
    method text NOT NULL,
    url text NOT NULL,
    asked jsonb NOT NULL,
    status int NOT NULL,
    headers jsonb NOT NULL,
    bytes bigint NOT NULL,
    sha256 text,
    PRIMARY KEY (fetch_id, seq)
);
CREATE INDEX responses_by_group ON responses (rate_group, asked_at);
CREATE INDEX responses_by_time ON responses (at);

CREATE TABLE circuits (
    source text PRIMARY KEY,
    state jsonb NOT NULL
);

CREATE TABLE validators (
    source text NOT NULL,
    page text NOT NULL,
    validator jsonb NOT NULL,
    PRIMARY KEY (source, page)
);

CREATE TABLE read_until (
    source text NOT NULL,
    subject text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (source, subject)
);

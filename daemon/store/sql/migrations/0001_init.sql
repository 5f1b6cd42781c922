-- Trading record. Dataset tables are not here: each is derived from its declaration.

CREATE TABLE meta (
    key text PRIMARY KEY,
    value jsonb NOT NULL
);

CREATE TABLE job_runs (
    job text NOT NULL,
    scheduled_at timestamptz NOT NULL,
    run_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'success', 'failed', 'skipped', 'missed')),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (job, scheduled_at)
);

CREATE TABLE rejects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    raw text NOT NULL,
    position text NOT NULL,
    raw_hash uuid NOT NULL,
    fetched_at timestamptz NOT NULL,
    UNIQUE (dataset, reason, raw_hash, position)
);

CREATE TABLE watermarks (
    dataset text PRIMARY KEY,
    watermark timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL
);

CREATE TABLE cycles (
    cycle_id text PRIMARY KEY,
    session date NOT NULL UNIQUE,
    at timestamptz NOT NULL,
    input jsonb NOT NULL,
    allocation jsonb NOT NULL,
    decision_hash text NOT NULL,
    applied_at timestamptz
);

CREATE TABLE evaluations (
    cycle_id text NOT NULL REFERENCES cycles,
    sleeve text NOT NULL,
    due_session date NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('evaluated', 'held', 'failed')),
    reason text NOT NULL,
    skipped jsonb NOT NULL,
    PRIMARY KEY (cycle_id, sleeve)
);

CREATE TABLE targets (
    cycle_id text NOT NULL REFERENCES cycles,
    sleeve text NOT NULL,
    symbol text NOT NULL,
    weight double precision NOT NULL,
    score double precision,
    PRIMARY KEY (cycle_id, sleeve, symbol)
);

CREATE TABLE evidence (
    cycle_id text NOT NULL REFERENCES cycles,
    sleeve text NOT NULL,
    symbol text NOT NULL,
    dataset text NOT NULL,
    row_key text NOT NULL,
    contribution double precision NOT NULL
);
CREATE INDEX evidence_by_symbol ON evidence (symbol, cycle_id);

CREATE TABLE sleeve_weights (
    cycle_id text NOT NULL REFERENCES cycles,
    sleeve text NOT NULL,
    symbol text NOT NULL,
    weight double precision NOT NULL,
    PRIMARY KEY (cycle_id, sleeve, symbol)
);

CREATE TABLE orders (
    client_order_id text PRIMARY KEY,
    cycle_id text NOT NULL REFERENCES cycles,
    session date NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    qty numeric NOT NULL CHECK (qty > 0),
    type text NOT NULL,
    time_in_force text NOT NULL,
    limit_price numeric,
    decision_price numeric NOT NULL,
    status text NOT NULL,
    broker_order_id text,
    filled_qty numeric NOT NULL DEFAULT 0,
    filled_avg_price numeric,
    intended_at timestamptz NOT NULL,
    sent_at timestamptz,
    updated_at timestamptz NOT NULL,
    lookups integer NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    settled boolean NOT NULL DEFAULT false
);
CREATE INDEX orders_unsettled ON orders (session) WHERE NOT settled;
CREATE INDEX orders_by_symbol ON orders (symbol, session);
CREATE INDEX orders_by_broker_id ON orders (broker_order_id);

CREATE TABLE order_shares (
    client_order_id text NOT NULL REFERENCES orders,
    sleeve text NOT NULL,
    qty numeric NOT NULL,
    PRIMARY KEY (client_order_id, sleeve)
);

CREATE TABLE crosses (
    cross_id text PRIMARY KEY,
    cycle_id text NOT NULL REFERENCES cycles,
    session date NOT NULL,
    symbol text NOT NULL,
    shares jsonb NOT NULL,
    decision_price numeric NOT NULL,
    price numeric,
    booked_at timestamptz
);

CREATE TABLE fills (
    id text PRIMARY KEY,
    client_order_id text NOT NULL REFERENCES orders,
    symbol text NOT NULL,
    side text NOT NULL,
    qty numeric NOT NULL CHECK (qty > 0),
    price numeric NOT NULL CHECK (price > 0),
    at timestamptz NOT NULL
);
CREATE INDEX fills_by_order ON fills (client_order_id);

CREATE TABLE ledger_transactions (
    id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    memo text NOT NULL
);

CREATE TABLE ledger_entries (
    transaction_id text NOT NULL REFERENCES ledger_transactions,
    account text NOT NULL,
    unit text NOT NULL,
    amount numeric NOT NULL
);
CREATE INDEX ledger_entries_by_transaction ON ledger_entries (transaction_id);

CREATE TABLE nav_marks (
    session date PRIMARY KEY,
    at timestamptz NOT NULL,
    nav_usd double precision NOT NULL,
    cash_usd double precision NOT NULL,
    gross_frac double precision NOT NULL,
    net_frac double precision NOT NULL,
    flow_usd double precision NOT NULL,
    return_index double precision NOT NULL,
    benchmark double precision
);

CREATE TABLE sleeve_marks (
    session date NOT NULL,
    sleeve text NOT NULL,
    nav_usd double precision NOT NULL,
    cash_usd double precision NOT NULL,
    capital_frac double precision NOT NULL,
    PRIMARY KEY (session, sleeve)
);

CREATE TABLE shadow_marks (
    sleeve text NOT NULL,
    session date NOT NULL,
    return_frac double precision NOT NULL,
    turnover_frac double precision NOT NULL,
    PRIMARY KEY (sleeve, session)
);

CREATE TABLE shadow_states (
    sleeve text PRIMARY KEY,
    state jsonb NOT NULL
);

CREATE TABLE breaks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    found_at timestamptz NOT NULL,
    kind text NOT NULL,
    symbol text NOT NULL,
    ledger numeric NOT NULL,
    broker numeric NOT NULL,
    likely text NOT NULL,
    cleared_at timestamptz
);

CREATE TABLE trading_states (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('ACTIVE', 'REDUCING', 'HALTED')),
    actor text NOT NULL,
    reason text NOT NULL
);

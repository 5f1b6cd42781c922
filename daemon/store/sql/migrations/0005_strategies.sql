-- What the operator decided about a strategy, one row a decision, the newest of a strategy holds; and every variant of a strategy that was
-- ever simulated, so that the deflated Sharpe ratio counts what was tried and not what was kept.

CREATE TABLE strategy_states (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    strategy text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'paused', 'retired')),
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX strategy_states_newest ON strategy_states (strategy, id DESC);

CREATE TABLE experiments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    strategy text NOT NULL,
    params jsonb NOT NULL,
    first_session date NOT NULL,
    last_session date NOT NULL,
    data_hash text NOT NULL,
    code_version text NOT NULL,
    result jsonb NOT NULL,
    UNIQUE (strategy, params, first_session, last_session, data_hash, code_version)
);

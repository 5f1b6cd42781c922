-- What was trained, on which data, and when it became known; nothing here is ever changed.

CREATE TABLE artefacts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    training_end date NOT NULL,
    data_hash text NOT NULL,
    params jsonb NOT NULL,
    known_at timestamptz NOT NULL
);
CREATE INDEX artefacts_by_name ON artefacts (name, known_at);

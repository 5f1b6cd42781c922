-- Named queries. A block opens with its name; parameters are those of psycopg, such as %(key)s.

-- name: meta_get
SELECT value FROM meta WHERE key = %(key)s

-- name: meta_set
INSERT INTO meta (key, value) VALUES (%(key)s, %(value)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: job_claim
INSERT INTO job_runs (job, scheduled_at, run_id, status, started_at)
VALUES (%(job)s, %(scheduled_at)s, %(run_id)s, 'running', %(started_at)s)
ON CONFLICT (job, scheduled_at) DO UPDATE SET run_id = excluded.run_id WHERE job_runs.run_id = excluded.run_id
RETURNING run_id

-- name: job_reclaim
UPDATE job_runs SET run_id = %(run_id)s, started_at = %(started_at)s
WHERE job = %(job)s AND scheduled_at = %(scheduled_at)s AND status = 'running'
RETURNING run_id

-- name: job_finish
UPDATE job_runs SET status = %(status)s, finished_at = %(finished_at)s, detail = %(detail)s
WHERE job = %(job)s AND scheduled_at = %(scheduled_at)s AND run_id = %(run_id)s

-- name: job_record_missed
INSERT INTO job_runs (job, scheduled_at, run_id, status, started_at, finished_at, detail)
VALUES (%(job)s, %(scheduled_at)s, %(run_id)s, 'missed', %(at)s, %(at)s, %(detail)s)
ON CONFLICT (job, scheduled_at) DO NOTHING

-- name: job_last_scheduled
SELECT max(scheduled_at) AS scheduled_at FROM job_runs WHERE job = %(job)s

-- name: job_last_success
SELECT job, max(scheduled_at) AS scheduled_at FROM job_runs WHERE status IN ('success', 'skipped') GROUP BY job

-- name: job_latest
SELECT DISTINCT ON (job) job, scheduled_at, run_id, status, started_at, finished_at, detail
FROM job_runs ORDER BY job, scheduled_at DESC

-- name: job_interrupted
SELECT job, scheduled_at, run_id FROM job_runs WHERE status = 'running' ORDER BY scheduled_at

-- name: reject_add
INSERT INTO rejects (dataset, reason, detail, raw, position, raw_hash, fetched_at)
VALUES (%(dataset)s, %(reason)s, %(detail)s, %(raw)s, %(position)s, md5(%(raw)s)::uuid, %(fetched_at)s)
ON CONFLICT DO NOTHING

-- name: reject_counts
SELECT dataset, reason, count(*) AS n FROM rejects GROUP BY dataset, reason ORDER BY dataset, reason

-- name: watermark_get
SELECT watermark FROM watermarks WHERE dataset = %(dataset)s AND source = %(source)s

-- name: watermark_set
INSERT INTO watermarks (dataset, source, watermark, fetched_at) VALUES (%(dataset)s, %(source)s, %(watermark)s, %(fetched_at)s)
ON CONFLICT (dataset, source) DO UPDATE
SET watermark = greatest(watermarks.watermark, excluded.watermark), fetched_at = excluded.fetched_at

-- name: watermarks_all
SELECT dataset, source, watermark, fetched_at FROM watermarks ORDER BY dataset, source

-- name: fetch_options_add
INSERT INTO fetch_options (hash, options) VALUES (%(hash)s, %(options)s) ON CONFLICT DO NOTHING

-- name: fetch_begin
INSERT INTO fetches (dataset, source, started_at, since, until, backfill, partial, options_hash)
VALUES (%(dataset)s, %(source)s, %(started_at)s, %(since)s, %(until)s, %(backfill)s, %(partial)s, %(options_hash)s)
RETURNING id

-- name: fetch_end
UPDATE fetches SET finished_at = %(finished_at)s, stamped_at = %(stamped_at)s, outcome = %(outcome)s, error_type = %(error_type)s,
    error = %(error)s, new = %(new)s, revised = %(revised)s, seen = %(seen)s, rejected = %(rejected)s, withdrawn = %(withdrawn)s,
    requests = %(requests)s, bytes = %(bytes)s
WHERE id = %(id)s

-- name: fetches_interrupted
UPDATE fetches SET outcome = 'interrupted' WHERE outcome = 'running'

-- name: fetch_covers
SELECT id FROM fetches
WHERE dataset = %(dataset)s AND source = %(source)s AND backfill AND NOT partial AND outcome = 'success' AND since <= %(since)s AND until >= %(until)s
LIMIT 1

-- name: subjects_read
SELECT subject, until FROM read_until WHERE source = %(source)s

-- name: subjects_mark
INSERT INTO read_until (source, subject, until)
SELECT %(source)s, subject, %(until)s FROM jsonb_array_elements_text(%(subjects)s::jsonb) AS subject
ON CONFLICT (source, subject) DO UPDATE SET until = excluded.until

-- name: fetch_any
SELECT id FROM fetches WHERE dataset = %(dataset)s AND source = %(source)s LIMIT 1

-- name: fetches_of
SELECT f.*, o.options FROM fetches f JOIN fetch_options o ON o.hash = f.options_hash
WHERE f.dataset = %(dataset)s AND f.outcome <> 'running' AND f.started_at >= %(since)s ORDER BY f.id

-- name: fetches_last
SELECT DISTINCT ON (dataset, source) dataset, source, started_at, finished_at, outcome, error_type, error,
    new, revised, seen, rejected, withdrawn, requests, bytes
FROM fetches ORDER BY dataset, source, id DESC

-- name: copy_responses
COPY responses (fetch_id, seq, at, asked_at, source, rate_group, method, url, asked, status, headers, bytes, sha256) FROM STDIN

-- name: responses_of
SELECT * FROM responses WHERE fetch_id = %(fetch_id)s ORDER BY seq

-- name: responses_asked_since
SELECT asked_at FROM responses WHERE rate_group = %(rate_group)s AND asked_at > %(since)s ORDER BY asked_at

-- name: responses_prune
DELETE FROM responses WHERE at < %(before)s

-- name: circuits_all
SELECT source, state FROM circuits ORDER BY source

-- name: circuit_set
INSERT INTO circuits (source, state) VALUES (%(source)s, %(state)s)
ON CONFLICT (source) DO UPDATE SET state = excluded.state

-- name: validator_get
SELECT validator FROM validators WHERE source = %(source)s AND page = %(page)s

-- name: validator_set
INSERT INTO validators (source, page, validator) VALUES (%(source)s, %(page)s, %(validator)s)
ON CONFLICT (source, page) DO UPDATE SET validator = excluded.validator

-- name: cycle_add
INSERT INTO cycles (cycle_id, session, at, input, allocation, decision_hash)
VALUES (%(cycle_id)s, %(session)s, %(at)s, %(input)s, %(allocation)s, %(decision_hash)s)

-- name: cycle_applied
UPDATE cycles SET applied_at = %(at)s WHERE cycle_id = %(cycle_id)s

-- name: cycle_get
SELECT cycle_id, session, at, input, allocation, decision_hash, applied_at FROM cycles WHERE cycle_id = %(cycle_id)s

-- name: cycle_of_session
SELECT cycle_id, session, at, input, allocation, decision_hash, applied_at FROM cycles WHERE session = %(session)s

-- name: cycle_last
SELECT cycle_id, session, at, input, allocation, decision_hash, applied_at FROM cycles ORDER BY session DESC LIMIT 1

-- name: allocation_newest
SELECT cycle_id, session, at, input, allocation FROM cycles
WHERE session <= %(until)s AND allocation -> 'rung' IS NOT NULL ORDER BY session DESC LIMIT 1

-- name: cycles_latest
SELECT cycle_id, session, at, input, allocation, decision_hash, applied_at FROM cycles ORDER BY session DESC LIMIT %(n)s

-- name: cycles_all
SELECT cycle_id, session, at, allocation, decision_hash FROM cycles ORDER BY session

-- name: cycle_order_counts
SELECT count(*) AS orders, coalesce(sum(qty * decision_price), 0)::float8 AS notional_usd FROM orders WHERE cycle_id = %(cycle_id)s

-- name: evaluations_last
SELECT DISTINCT ON (e.sleeve) e.sleeve, e.due_session, c.session, c.at
FROM evaluations e JOIN cycles c USING (cycle_id)
WHERE e.outcome = 'evaluated' AND c.session < %(before)s
ORDER BY e.sleeve, c.session DESC

-- name: targets_before
WITH latest AS (
    SELECT DISTINCT ON (e.sleeve) e.sleeve, e.cycle_id
    FROM evaluations e JOIN cycles c USING (cycle_id)
    WHERE e.outcome = 'evaluated' AND c.session < %(before)s
    ORDER BY e.sleeve, c.session DESC
)
SELECT t.sleeve, t.symbol, t.weight FROM latest JOIN targets t USING (cycle_id, sleeve) ORDER BY t.sleeve, t.symbol

-- name: targets_of_cycle
SELECT sleeve, symbol, weight, score FROM targets WHERE cycle_id = %(cycle_id)s ORDER BY sleeve, symbol

-- name: evaluations_of_cycle
SELECT sleeve, due_session, outcome, reason FROM evaluations WHERE cycle_id = %(cycle_id)s ORDER BY sleeve

-- name: copy_evaluations
COPY evaluations (cycle_id, sleeve, due_session, outcome, reason, skipped) FROM STDIN

-- name: copy_targets
COPY targets (cycle_id, sleeve, symbol, weight, score) FROM STDIN

-- name: copy_evidence
COPY evidence (cycle_id, sleeve, symbol, dataset, row_key, contribution) FROM STDIN

-- name: copy_sleeve_weights
COPY sleeve_weights (cycle_id, sleeve, symbol, weight) FROM STDIN

-- name: copy_orders
COPY orders (client_order_id, cycle_id, session, symbol, side, qty, type, time_in_force, limit_price, decision_price, status, intended_at, updated_at) FROM STDIN

-- name: copy_order_shares
COPY order_shares (client_order_id, sleeve, qty) FROM STDIN

-- name: copy_crosses
COPY crosses (cross_id, cycle_id, session, symbol, shares, decision_price) FROM STDIN

-- name: copy_fills
COPY fills (id, client_order_id, symbol, side, qty, price, at) FROM STDIN

-- name: copy_ledger_transactions
COPY ledger_transactions (id, kind, at, memo) FROM STDIN

-- name: copy_ledger_entries
COPY ledger_entries (transaction_id, account, unit, amount) FROM STDIN

-- name: copy_shadow_marks
COPY shadow_marks (sleeve, session, return_frac, turnover_frac) FROM STDIN

-- name: copy_sleeve_marks
COPY sleeve_marks (session, sleeve, nav_usd, cash_usd, capital_frac) FROM STDIN

-- name: orders_open
SELECT * FROM orders WHERE NOT settled ORDER BY intended_at, client_order_id

-- name: order_get
SELECT * FROM orders WHERE client_order_id = %(client_order_id)s

-- name: order_shares_open
SELECT s.client_order_id, s.sleeve, s.qty FROM order_shares s JOIN orders o USING (client_order_id)
WHERE NOT o.settled ORDER BY 1, 2

-- name: order_shares_get
SELECT sleeve, qty FROM order_shares WHERE client_order_id = %(client_order_id)s ORDER BY sleeve

-- name: orders_update
UPDATE orders o SET status = u.status, broker_order_id = u.broker_order_id, filled_qty = u.filled_qty,
    filled_avg_price = u.filled_avg_price, sent_at = u.sent_at, updated_at = %(updated_at)s,
    lookups = u.lookups, reason = u.reason, settled = u.settled
FROM jsonb_to_recordset(%(orders)s) AS u (
    client_order_id text, status text, broker_order_id text, filled_qty numeric, filled_avg_price numeric,
    sent_at timestamptz, lookups integer, reason text, settled boolean
)
WHERE o.client_order_id = u.client_order_id

-- name: crosses_open
SELECT cross_id, cycle_id, session, symbol, shares, decision_price FROM crosses WHERE booked_at IS NULL ORDER BY cross_id

-- name: cross_booked
UPDATE crosses SET price = %(price)s, booked_at = %(at)s WHERE cross_id = %(cross_id)s

-- name: fill_ids_since
SELECT id FROM fills WHERE at >= %(at)s

-- name: fills_of_open_orders
SELECT f.client_order_id, f.id, f.symbol, f.side, f.qty, f.price, f.at
FROM fills f JOIN orders o USING (client_order_id) WHERE NOT o.settled ORDER BY f.at, f.id

-- name: fills_of_order
SELECT id, qty, price, at FROM fills WHERE client_order_id = %(client_order_id)s ORDER BY at, id

-- name: ledger_all
SELECT t.id, t.kind, t.at, t.memo, e.account, e.unit, e.amount
FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id ORDER BY t.seq

-- name: sleeve_entries
SELECT t.id AS transaction_id, t.kind, t.at, e.unit, e.amount
FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id WHERE e.account = %(account)s ORDER BY t.seq

-- name: ledger_balances
SELECT account, unit, sum(amount) AS amount FROM ledger_entries GROUP BY account, unit HAVING sum(amount) <> 0 ORDER BY account, unit

-- name: ledger_ids
SELECT id FROM ledger_transactions

-- name: nav_add
INSERT INTO nav_marks (session, at, nav_usd, cash_usd, gross_frac, net_frac, flow_usd, return_index, benchmark)
VALUES (%(session)s, %(at)s, %(nav_usd)s, %(cash_usd)s, %(gross_frac)s, %(net_frac)s, %(flow_usd)s, %(return_index)s, %(benchmark)s)
ON CONFLICT (session) DO NOTHING

-- name: nav_all
SELECT session, at, nav_usd, cash_usd, gross_frac, net_frac, flow_usd, return_index, benchmark FROM nav_marks ORDER BY session

-- name: nav_last
SELECT session, at, nav_usd, cash_usd, gross_frac, net_frac, flow_usd, return_index, benchmark FROM nav_marks ORDER BY session DESC LIMIT 1

-- name: nav_high_water
SELECT max(return_index) AS high FROM nav_marks WHERE session >= %(since)s

-- name: sleeve_marks_all
SELECT session, sleeve, nav_usd, cash_usd, capital_frac FROM sleeve_marks ORDER BY session, sleeve

-- name: sleeve_marks_last
SELECT session, sleeve, nav_usd, cash_usd, capital_frac FROM sleeve_marks WHERE session = (SELECT max(session) FROM sleeve_marks) ORDER BY sleeve

-- name: shadow_marks_since
SELECT sleeve, session, return_frac FROM shadow_marks WHERE session >= %(since)s ORDER BY session, sleeve

-- name: shadow_states_all
SELECT sleeve, state FROM shadow_states ORDER BY sleeve

-- name: shadow_states_set
INSERT INTO shadow_states (sleeve, state) SELECT key, value FROM jsonb_each(%(states)s)
ON CONFLICT (sleeve) DO UPDATE SET state = excluded.state

-- name: breaks_open
SELECT id, found_at, kind, symbol, ledger, broker, likely FROM breaks WHERE cleared_at IS NULL ORDER BY id

-- name: break_add
INSERT INTO breaks (found_at, kind, symbol, ledger, broker, likely)
VALUES (%(found_at)s, %(kind)s, %(symbol)s, %(ledger)s, %(broker)s, %(likely)s)

-- name: breaks_clear
UPDATE breaks SET cleared_at = %(at)s WHERE cleared_at IS NULL

-- name: trading_state_last
SELECT state, actor, reason, at FROM trading_states ORDER BY id DESC LIMIT 1

-- name: trading_states_all
SELECT at, state, actor, reason FROM trading_states ORDER BY id

-- name: trading_state_add
INSERT INTO trading_states (at, state, actor, reason) VALUES (%(at)s, %(state)s, %(actor)s, %(reason)s)

-- name: orders_latest
SELECT client_order_id, session, symbol, side, qty, type, status, filled_qty, filled_avg_price, decision_price, updated_at
FROM orders ORDER BY intended_at DESC, client_order_id DESC LIMIT %(n)s

-- name: orders_all
SELECT client_order_id, session, symbol, side, qty, type, status, filled_qty, filled_avg_price, decision_price
FROM orders ORDER BY session, client_order_id

-- name: order_status_counts
SELECT status, count(*) AS n FROM orders GROUP BY status ORDER BY status

-- name: fills_count
SELECT count(*) AS n FROM fills

-- name: why_orders
SELECT * FROM orders WHERE symbol = %(symbol)s AND intended_at <= %(at)s ORDER BY intended_at DESC LIMIT %(n)s

-- name: why_cycle
SELECT c.cycle_id, c.session, c.at, c.allocation FROM cycles c
WHERE c.at <= %(at)s AND EXISTS (SELECT 1 FROM sleeve_weights w WHERE w.cycle_id = c.cycle_id AND w.symbol = %(symbol)s)
ORDER BY c.session DESC LIMIT 1

-- name: why_weights
SELECT sleeve, weight FROM sleeve_weights WHERE cycle_id = %(cycle_id)s AND symbol = %(symbol)s ORDER BY sleeve

-- name: why_targets
SELECT DISTINCT ON (t.sleeve) t.sleeve, t.weight, t.score, c.cycle_id, c.session, c.at
FROM evaluations e JOIN cycles c USING (cycle_id) JOIN targets t USING (cycle_id, sleeve)
WHERE e.outcome = 'evaluated' AND c.at <= %(at)s AND t.symbol = %(symbol)s
ORDER BY t.sleeve, c.session DESC

-- name: why_evidence
SELECT dataset, row_key, contribution FROM evidence
WHERE cycle_id = %(cycle_id)s AND sleeve = %(sleeve)s AND symbol = %(symbol)s ORDER BY abs(contribution) DESC, row_key

-- name: check_fills_within_orders
SELECT count(*) AS n FROM (
    SELECT o.client_order_id FROM orders o JOIN fills f USING (client_order_id)
    GROUP BY o.client_order_id, o.qty HAVING sum(f.qty) > o.qty
) t

-- name: check_fills_recorded
SELECT count(*) AS n FROM (
    SELECT o.client_order_id FROM orders o LEFT JOIN fills f USING (client_order_id)
    WHERE o.settled GROUP BY o.client_order_id, o.filled_qty HAVING coalesce(sum(f.qty), 0) <> o.filled_qty
) t

-- name: check_entries_balance
SELECT count(*) AS n FROM (
    SELECT transaction_id FROM ledger_entries GROUP BY transaction_id, unit HAVING sum(amount) <> 0
) t

-- name: check_shares_sum_to_order
SELECT count(*) AS n FROM (
    SELECT o.client_order_id FROM orders o JOIN order_shares s USING (client_order_id)
    GROUP BY o.client_order_id, o.qty, o.side HAVING abs(sum(s.qty)) <> o.qty OR (sum(s.qty) > 0) <> (o.side = 'buy')
) t

-- name: check_one_order_per_symbol
SELECT count(*) AS n FROM (SELECT cycle_id, symbol FROM orders GROUP BY cycle_id, symbol HAVING count(*) > 1) t

-- name: check_nav_is_sum_of_sleeves
SELECT count(*) AS n FROM (
    SELECT n.session FROM nav_marks n JOIN sleeve_marks s USING (session)
    GROUP BY n.session, n.nav_usd HAVING abs(sum(s.nav_usd) - n.nav_usd) > 0.01
) t

-- name: check_intended_before_sent
SELECT count(*) AS n FROM orders WHERE sent_at < intended_at

-- name: check_unfinished_orders
SELECT count(*) AS n FROM orders WHERE NOT settled AND session < %(session)s

-- name: check_runs_recorded
SELECT count(*) AS n FROM job_runs WHERE status = 'running'

-- name: order_ids_all
SELECT client_order_id, broker_order_id FROM orders

-- name: evidence_event_rows
SELECT DISTINCT e.dataset, e.row_key, min(c.at) AS used_at FROM evidence e JOIN cycles c USING (cycle_id)
WHERE e.dataset <> 'bars_daily' GROUP BY e.dataset, e.row_key

-- name: latest_prices
SELECT DISTINCT ON (symbol) symbol, price, at FROM (
    SELECT symbol, price, at FROM fills
    UNION ALL SELECT symbol, decision_price, intended_at FROM orders
) p ORDER BY symbol, at DESC

-- name: shadow_growth
SELECT sleeve, exp(sum(ln(greatest(1 + return_frac, 1e-9)))) - 1 AS growth
FROM shadow_marks WHERE session >= %(since)s GROUP BY sleeve

-- name: nav_first
SELECT session FROM nav_marks ORDER BY session LIMIT 1

-- name: why_cross
SELECT x.cross_id, x.cycle_id, x.session, x.shares, x.decision_price, x.price, x.booked_at, c.at
FROM crosses x JOIN cycles c USING (cycle_id)
WHERE x.symbol = %(symbol)s AND c.at <= %(at)s ORDER BY c.at DESC LIMIT 1

-- name: why_evaluations
SELECT DISTINCT ON (e.sleeve) e.sleeve, e.cycle_id, c.session, c.at, e.due_session, e.skipped ->> %(symbol)s AS skipped, t.weight, t.score
FROM evaluations e JOIN cycles c USING (cycle_id)
LEFT JOIN targets t ON t.cycle_id = e.cycle_id AND t.sleeve = e.sleeve AND t.symbol = %(symbol)s
WHERE e.outcome = 'evaluated' AND c.at <= %(at)s
ORDER BY e.sleeve, c.session DESC

-- name: why_skipped
SELECT e.sleeve, c.session, e.skipped ->> %(symbol)s AS reason
FROM evaluations e JOIN cycles c USING (cycle_id)
WHERE e.skipped ->> %(symbol)s IS NOT NULL AND c.at <= %(at)s ORDER BY c.session DESC, e.sleeve LIMIT 1

-- name: why_first_order
SELECT min(intended_at) AS at FROM orders WHERE symbol = %(symbol)s

-- name: why_holders
SELECT e.account, sum(e.amount) AS qty
FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
WHERE e.unit = %(symbol)s AND starts_with(e.account, 'sleeve:') AND t.at <= %(at)s
GROUP BY e.account HAVING sum(e.amount) <> 0 ORDER BY e.account

-- name: why_movements
SELECT t.id, t.kind, t.at, t.memo, e.account, e.amount
FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
WHERE e.unit = %(symbol)s AND starts_with(e.account, 'sleeve:') AND t.at <= %(at)s
ORDER BY t.seq DESC, e.account LIMIT %(n)s

-- name: verify_cycle_ids
SELECT cycle_id FROM cycles ORDER BY session DESC LIMIT %(n)s

-- name: verify_evaluations
SELECT sleeve, due_session, outcome, reason, skipped FROM evaluations WHERE cycle_id = %(cycle_id)s

-- name: verify_evidence
SELECT sleeve, symbol, dataset, row_key, count(*) AS n, sum(contribution) AS contribution
FROM evidence WHERE cycle_id = %(cycle_id)s GROUP BY sleeve, symbol, dataset, row_key

-- name: verify_sleeve_weights
SELECT sleeve, symbol, weight FROM sleeve_weights WHERE cycle_id = %(cycle_id)s

-- name: verify_orders
SELECT client_order_id, symbol, side, qty, type, time_in_force, decision_price FROM orders WHERE cycle_id = %(cycle_id)s

-- name: verify_order_shares
SELECT s.client_order_id, s.sleeve, s.qty FROM order_shares s JOIN orders o USING (client_order_id) WHERE o.cycle_id = %(cycle_id)s

-- name: verify_crosses
SELECT symbol, shares, decision_price FROM crosses WHERE cross_id = 'cross:' || cycle_id || ':' || symbol AND cycle_id = %(cycle_id)s

-- name: verify_transfers
SELECT e.account, e.unit, e.amount FROM ledger_entries e
WHERE e.transaction_id = ANY(string_to_array(%(ids)s, ' ')) AND e.account = 'sleeve:' || split_part(e.transaction_id, ':', 3)

-- name: verify_shadow_marks
SELECT sleeve, session, return_frac, turnover_frac FROM shadow_marks WHERE session > %(after)s AND session < %(before)s

-- name: verify_parts
SELECT c.session, c.at, s.value ->> 'name' AS sleeve FROM cycles c CROSS JOIN jsonb_array_elements(c.input -> 'sleeves') s

-- name: nav_until
SELECT session, at, nav_usd, cash_usd, return_index FROM nav_marks WHERE session <= %(session)s ORDER BY session DESC LIMIT %(n)s

-- name: position_changes_since
SELECT t.at, t.kind, e.unit AS symbol, sum(e.amount) AS qty
FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
WHERE t.at > %(since)s AND starts_with(e.account, 'sleeve:') AND e.unit <> '$'
GROUP BY t.seq, t.at, t.kind, e.unit HAVING sum(e.amount) <> 0 ORDER BY t.at, t.seq, e.unit

-- name: forecasts_between
SELECT session, allocation -> 'forecast' AS forecast FROM cycles
WHERE session >= %(since)s AND session <= %(until)s AND allocation -> 'forecast' IS NOT NULL ORDER BY session

-- name: risk_watch_add
INSERT INTO risk_watch (session, at, watch, standing) VALUES (%(session)s, %(at)s, %(watch)s, %(standing)s)
ON CONFLICT (session) DO NOTHING

-- name: risk_watch_last
SELECT session, at, watch, standing FROM risk_watch ORDER BY session DESC LIMIT 1

-- name: risk_watch_before
SELECT session, at, watch, standing FROM risk_watch WHERE session < %(session)s ORDER BY session DESC LIMIT 1

-- name: risk_watches_all
SELECT session, at, watch, standing FROM risk_watch ORDER BY session

-- name: sector_session_add
INSERT INTO sector_sessions (session, sectors) VALUES (%(session)s, %(sectors)s) ON CONFLICT (session) DO NOTHING

-- name: sector_sessions_since
SELECT session, sectors FROM sector_sessions WHERE session >= %(since)s ORDER BY session

-- name: sector_session_last
SELECT max(session) AS session FROM sector_sessions

-- name: allocation_last
SELECT session, at, input -> 'options' -> 'limits' AS limits, allocation FROM cycles
WHERE allocation -> 'rung' IS NOT NULL ORDER BY session DESC LIMIT 1

-- name: artefact_add
INSERT INTO artefacts (name, version, training_end, data_hash, params, known_at)
VALUES (%(model)s, %(version)s, %(training_end)s, %(data_hash)s, %(params)s, %(known_at)s)

-- name: artefacts_all
SELECT name, version, training_end, data_hash, params, known_at FROM artefacts ORDER BY id

-- name: strategy_states_newest
SELECT DISTINCT ON (strategy) strategy, state, at, actor, reason FROM strategy_states ORDER BY strategy, id DESC

-- name: strategy_state_add
INSERT INTO strategy_states (at, strategy, state, actor, reason) VALUES (%(at)s, %(strategy)s, %(state)s, %(actor)s, %(reason)s)

-- name: evaluations_newest
SELECT DISTINCT ON (e.sleeve) e.sleeve, e.due_session, e.outcome, e.reason, c.session, c.at
FROM evaluations e JOIN cycles c USING (cycle_id)
ORDER BY e.sleeve, c.session DESC

-- name: target_counts
WITH latest AS (
    SELECT DISTINCT ON (e.sleeve) e.sleeve, e.cycle_id
    FROM evaluations e JOIN cycles c USING (cycle_id)
    WHERE e.outcome = 'evaluated'
    ORDER BY e.sleeve, c.session DESC
)
SELECT t.sleeve, count(*) AS n FROM latest JOIN targets t USING (cycle_id, sleeve) WHERE t.weight <> 0 GROUP BY t.sleeve

-- name: sleeve_marks_dated
SELECT s.sleeve, s.session, n.at, s.nav_usd FROM sleeve_marks s JOIN nav_marks n USING (session) ORDER BY s.sleeve, s.session

-- name: sleeve_transfers
SELECT substr(e.account, 8) AS sleeve, t.at, sum(e.amount)::float8 AS usd
FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
WHERE t.kind = 'transfer' AND e.unit = '$' AND starts_with(e.account, 'sleeve:')
GROUP BY e.account, t.at ORDER BY e.account, t.at

-- name: experiment_add
INSERT INTO experiments (at, strategy, params, first_session, last_session, data_hash, code_version, result)
VALUES (%(at)s, %(strategy)s, %(params)s, %(first)s, %(last)s, %(data_hash)s, %(code_version)s, %(result)s)
ON CONFLICT DO NOTHING

-- name: experiments_tried
SELECT DISTINCT ON (params) params, first_session, last_session, at, result FROM experiments
WHERE strategy = %(strategy)s AND first_session <= %(last)s AND last_session >= %(first)s
ORDER BY params, (first_session = %(first)s AND last_session = %(last)s) DESC, id DESC

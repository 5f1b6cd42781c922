"""Models are trained when they are due, on what is known then; decisions use the newest one known, and come out again later."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon.artefacts import Artefact, Artefacts, Cache, load
from daemon.calendar import Calendar
from daemon.market_regime import NAME, market_regime
from daemon.settle import open_account
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from daemon.training import RECIPES, Training, latest_due
from daemon.verify import verify
from risk.errors import NotSolved
from risk.regime import RegimeModel
from scrapers import DATASETS, tables, times
from scrapers.sources.bars_daily import DailyBar
from scrapers.sources.vix import VixDay
from strategies import CATALOG
from tests.integration.small_world import START, SmallWorld, execute, fill_store, runtime, settings, store, trade, undone

CALENDAR = Calendar()
END = date(2022, 2, 11)
SECOND = date(2022, 2, 1)
SESSIONS = CALENDAR.sessions(CALENDAR.offset(START, -560), END)


def vix_rows(sessions):
    """A volatility index that is calm, then wild for forty sessions before the end, each close known at 16:20."""
    random = np.random.default_rng(11)
    levels = np.exp(np.where(np.arange(len(sessions))[::-1] < 40, 3.4, 2.6) + random.normal(0, 0.08, len(sessions)))
    rows = [VixDay(session=d, open=v, high=v, low=v, close=v) for d, v in zip(sessions, levels.round(2).tolist(), strict=True)]
    return [
        tables.Timed(row=r, event_at=times.new_york(r.session, time(16, 15)), known_at=times.new_york(r.session, time(16, 20)))
        for r in rows
    ]


def wild_benchmark(sessions):
    """Corrected bars of SPY that swing by four percent a day over the same forty sessions."""
    rows = []
    for i, session in enumerate(sessions[-40:]):
        close = 100.0 if i % 2 else 104.0
        row = DailyBar(
            symbol="SPY", session=session, open=close, high=close * 1.01, low=close * 0.99, close=close, adj_close=close,
            volume=5_000_000, adjustment="split",
        )  # fmt: skip
        rows.append(tables.Timed(row=row, event_at=CALENDAR.close_at(session), known_at=times.new_york(session, time(16, 21))))
    return rows


def options(state_dir, **changes):
    return settings(ALLOCD_STATE_DIR=str(state_dir), ALLOCD_TRAINING_MONTHS="1,2", **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres) -> Iterator[SmallWorld]:
    """A market with a VIX, traded from January into February: trained in the first session, and again when February begins."""
    folder = tmp_path_factory.mktemp("training")
    db, lake = Database(postgres.ensure, schema="training", durable=False), Lake(folder / "lake")
    db.migrate()
    fill_store(db, lake, CALENDAR, SESSIONS)
    store(db, lake, "vix", VixDay, vix_rows(SESSIONS))
    store(db, lake, "bars_daily", DailyBar, wild_benchmark(SESSIONS))
    rt = runtime(options(folder / "state"), db, lake, CALENDAR, SESSIONS)
    open_account(rt)
    trade(rt, START, END)
    yield SmallWorld(rt=rt, db=db, lake=lake, calendar=CALENDAR, sessions=SESSIONS, conninfo=postgres.ensure)
    db.drop_schema()
    db.close()


def view(world, at):
    return Archive(world.lake, DATASETS.values(), CALENDAR, artefacts=load(world.db)).view(at)


def before_open(session, minutes=30):
    return CALENDAR.open_at(session) - timedelta(minutes=minutes)


def test_training_happens_in_the_first_session_and_in_each_training_month(world):
    rows = execute(world.db, "SELECT known_at, training_end FROM artefacts ORDER BY id")
    assert [r["known_at"] for r in rows] == [before_open(START, 45), before_open(SECOND, 45)]
    assert [r["training_end"] for r in rows] == [CALENDAR.previous_session(START), CALENDAR.previous_session(SECOND)]
    outcomes = execute(world.db, "SELECT status, count(*) AS n FROM job_runs WHERE job = 'training' GROUP BY status ORDER BY status")
    assert [(r["status"], r["n"]) for r in outcomes] == [("skipped", len(CALENDAR.sessions(START, END)) - 2), ("success", 2)]


def test_each_decision_records_the_regime_and_the_model_that_it_was_made_with(world):
    rows = execute(world.db, "SELECT session, input -> 'artefacts' AS used, allocation -> 'regime' AS regime FROM cycles ORDER BY session")
    known = load(world.db)
    assert len(rows) == len(CALENDAR.sessions(START, END))
    for row in rows:
        newest = known.newest(NAME, before_open(row["session"]))
        assert row["used"] == {NAME: newest.hash}
        assert row["regime"]["source"] == "hmm"
        assert newest.hash[:16] in row["regime"]["model"]
        assert row["regime"]["delta"] == 2.0 * row["regime"]["probability"]
    assert len({row["used"][NAME] for row in rows}) == 2
    assert rows[-1]["regime"]["probability"] > 0.9, "the market is wild at the end"


def test_every_decision_comes_out_again_after_later_trainings(world):
    with undone(world.db):
        last = load(world.db).newest(NAME, datetime(2030, 1, 1, tzinfo=UTC))
        other = RegimeModel(**last.params).parameters() | {"startprob": [0.25, 0.75]}
        execute(
            world.db,
            "INSERT INTO artefacts (name, version, training_end, data_hash, params, known_at) VALUES (%(n)s, 'x', %(e)s, '', %(p)s, %(k)s)",
            n=NAME, e=END, p=json.dumps(other), k=before_open(END, 1),
        )  # fmt: skip
        verdicts = verify(world.db, world.lake, DATASETS, CATALOG, CALENDAR)
    assert {v.cycle_id: v.differences for v in verdicts if not v.ok} == {}
    assert len(verdicts) == len(CALENDAR.sessions(START, END))


def test_a_tampered_artefact_is_named_by_the_decisions_that_used_it(world):
    with undone(world.db):
        execute(world.db, "UPDATE artefacts SET params = jsonb_set(params, '{startprob}', '[0.5, 0.5]') WHERE known_at > %(d)s", d=SECOND)
        verdicts = verify(world.db, world.lake, DATASETS, CATALOG, CALENDAR)
    wrong = [v for v in verdicts if not v.ok]
    assert [v.session for v in wrong] == CALENDAR.sessions(SECOND, END)
    assert all(any(d.startswith(f"artefact {NAME}: recorded ") for d in v.differences) for v in wrong)


def test_a_view_hands_out_the_newest_artefact_known_to_it_as_plain_values(world):
    assert view(world, before_open(START, 46)).artifact(NAME) is None
    first, second = (view(world, before_open(d)).artifact(NAME) for d in (START, SECOND))
    assert first["training_end"] < second["training_end"]
    assert RegimeModel(**first["params"]).n_states == 2
    first["params"]["startprob"][0] = 9.0
    assert view(world, before_open(START)).artifact(NAME)["params"]["startprob"][0] != 9.0
    assert view(world, before_open(START)).artifact("no such model") is None


INSTANTS = st.integers(0, 40).map(lambda n: datetime(2022, 1, 1, tzinfo=UTC) + timedelta(hours=n))


@given(st.lists(st.tuples(st.sampled_from("ab"), INSTANTS), max_size=12), INSTANTS)
@hypothesis_settings(deadline=None, derandomize=True, max_examples=100)
def test_nothing_sees_an_artefact_before_it_is_known(trained, at):
    made = [
        Artefact(name=n, version="1", training_end=date(2021, 1, 1), data_hash="", params={"number": i}, known_at=known)
        for i, (n, known) in enumerate(trained)
    ]
    archive = Artefacts(made)
    for name in "ab":
        past = [a for a in made if a.name == name and a.known_at <= at]
        found = archive.newest(name, at)
        assert found == (sorted(past, key=lambda a: (a.known_at, a.params["number"]))[-1] if past else None)
        assert archive.hashes(at).get(name) == (found.hash if found else None)
        later = replace_known(made, at + timedelta(minutes=1))
        assert Artefacts([*made, *later]).newest(name, at) == found


def replace_known(made, at):
    fields = ("name", "version", "training_end", "data_hash", "params")
    return [Artefact(**{f: getattr(a, f) for f in fields}, known_at=at) for a in made]


def retrained(world, state_dir, recipes=RECIPES):
    """A runtime without artefacts over the same data, trained once; its artefacts, undone in the record afterwards."""
    rt = runtime(options(state_dir), world.db, world.lake, CALENDAR, SESSIONS)
    with undone(world.db):
        Training(rt, recipes).run(rt.clock.now())
    return rt


def counted(calls):
    """The recipes, counting how often something is really trained."""

    def train(features):
        calls.append(len(features))
        return RECIPES[0].train(features)

    return (replace(RECIPES[0], train=train),)


def test_what_was_trained_from_the_same_data_is_found_on_disk_and_is_the_same(world, tmp_path):
    calls: list[int] = []
    first, second = (retrained(world, tmp_path, recipes=counted(calls)).archive.artefacts for _ in range(2))
    assert len(calls) == 1
    late = datetime(2030, 1, 1, tzinfo=UTC)
    assert first.hashes(late) == second.hashes(late) == {NAME: load(world.db).newest(NAME, before_open(START)).hash}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"identity": [], "params": {}, "hash": ""}', None])
def test_a_spoilt_cache_is_thrown_away_and_trained_again(world, tmp_path, content):
    calls: list[int] = []
    wanted = retrained(world, tmp_path, recipes=counted(calls)).archive.artefacts
    (file,) = (tmp_path / "artefacts").iterdir()
    if content is None:
        stored = json.loads(file.read_text())
        stored["params"]["startprob"] = [0.5, 0.5]
        content = json.dumps(stored)
    file.write_text(content)
    found = retrained(world, tmp_path, recipes=counted(calls)).archive.artefacts
    late = datetime(2030, 1, 1, tzinfo=UTC)
    assert len(calls) == 2
    assert found.hashes(late) == wanted.hashes(late)


def test_a_disk_that_takes_no_cache_does_not_stop_a_training(world, tmp_path):
    (tmp_path / "artefacts").write_text("a file where the directory should be")
    assert retrained(world, tmp_path).archive.artefacts.newest(NAME, datetime(2030, 1, 1, tzinfo=UTC)) is not None


def test_a_cache_gives_nothing_for_another_version_or_other_data(tmp_path):
    cache = Cache(tmp_path)
    cache.put("m", "1", END, "abc", {"x": [0.1]})
    assert cache.get("m", "1", END, "abc") == {"x": [0.1]}
    assert cache.get("m", "2", END, "abc") is None
    assert cache.get("m", "1", END, "abd") is None
    assert cache.get("m", "1", START, "abc") is None


def ran(world, state_dir, recipes):
    """Jobs of one occurrence of a training with these recipes: its row of the ledger, undone afterwards, and the runtime."""
    from daemon.jobs import JobRunner

    rt = runtime(options(state_dir), world.db, world.lake, CALENDAR, SESSIONS)
    at = rt.clock.now()
    with undone(world.db):
        execute(world.db, "DELETE FROM job_runs WHERE job = 'training'")
        JobRunner(world.db, rt.clock, rt.metrics, strict=True).run("training", at, Training(rt, recipes).run)
        (row,) = execute(world.db, "SELECT status, detail FROM job_runs WHERE job = 'training'")
    return row, rt


def test_a_training_that_fails_is_recorded_and_stops_nothing_not_even_a_replay(world, tmp_path):
    def collapse(features: pd.DataFrame) -> dict:
        raise NotSolved("every start collapsed")

    row, rt = ran(world, tmp_path, (replace(RECIPES[0], train=collapse),))
    assert row["status"] == "failed"
    assert "every start collapsed" in row["detail"]["error"]
    assert rt.archive.artefacts.hashes(rt.clock.now()) == {}


def test_too_short_a_history_is_skipped_with_the_reason(world, tmp_path):
    row, _ = ran(world, tmp_path, (replace(RECIPES[0], least=100_000),))
    assert row["status"] == "skipped"
    assert "sessions of history, 100000 needed" in row["detail"]["reason"]


def test_the_recorded_probability_is_that_of_the_model_over_the_rows_known_then(world):
    at = before_open(END)
    known = view(world, at)
    closes = known.bars("adj_close", 253, ["SPY"])["SPY"]
    vix = known.events("vix").set_index("session")["close"]
    vix.index = pd.DatetimeIndex(pd.to_datetime(vix.index)).astype(closes.index.dtype)
    rows = pd.DataFrame({"r": 100 * closes.pct_change(), "v": np.log(vix.reindex(closes.index))}).dropna()
    assert len(rows) == 252
    expected = RegimeModel(**known.artifact(NAME)["params"]).filtered(rows).iloc[-1, -1]
    (row,) = execute(world.db, "SELECT allocation -> 'regime' AS regime FROM cycles WHERE session = %(d)s", d=END)
    assert row["regime"]["probability"] == pytest.approx(expected, rel=1e-9)


def regime_without(world, session, artefacts=None):
    archive = Archive(world.lake, DATASETS.values(), CALENDAR, artefacts=artefacts)
    return market_regime(archive.view(before_open(session)), "SPY", max_delta=2.0)


def test_without_a_model_or_with_one_that_cannot_read_the_features_volatility_stands_in_and_says_why(world):
    plain = regime_without(world, END)
    assert plain.source == "volatility ratio: no model is trained yet"
    assert np.isnan(plain.probability)
    good = load(world.db).newest(NAME, before_open(END))
    parts = {f: getattr(good, f) for f in ("name", "version", "training_end", "data_hash", "known_at")}
    for params in ({"startprob": [1.0]}, {**good.params, "means": [[0.0], [1.0]], "covars": [[[1.0]], [[1.0]]]}):
        found = regime_without(world, END, Artefacts([Artefact(**parts, params=params)]))
        assert found.source.startswith("volatility ratio: the model of ")
        assert (found.delta, found.model) == (plain.delta, "")


def test_a_vix_that_ended_some_sessions_ago_is_not_filtered(world, tmp_path, postgres):
    db, lake = Database(postgres.ensure, schema="stale_vix", durable=False), Lake(tmp_path / "lake")
    db.migrate()
    fill_store(db, lake, CALENDAR, SESSIONS)
    store(db, lake, "vix", VixDay, vix_rows(SESSIONS)[:-4])
    archive = Archive(lake, DATASETS.values(), CALENDAR, artefacts=load(world.db))
    last, before = (CALENDAR.offset(SESSIONS[-1], -n) for n in (0, 1))
    after = CALENDAR.open_at(CALENDAR.offset(last, 1)) - timedelta(minutes=30)
    assert market_regime(archive.view(before_open(last)), "SPY", max_delta=2.0).source == "hmm"
    assert market_regime(archive.view(after), "SPY", max_delta=2.0).source == (
        f"volatility ratio: VIX or benchmark end on {CALENDAR.offset(before, -3)}, 4 sessions ago"
    )
    db.drop_schema()
    db.close()


@given(st.integers(0, 2000), st.sets(st.integers(1, 12), min_size=1, max_size=4))
@hypothesis_settings(deadline=None, derandomize=True, max_examples=60)
def test_a_training_is_due_in_the_first_session_of_its_months(days, months):
    session = CALENDAR.session_on_or_after(date(2015, 1, 2) + timedelta(days=days))
    due = latest_due(CALENDAR, sorted(months), session)
    firsts = [
        d for d in CALENDAR.sessions(date(2013, 12, 1), session) if d.month in months and CALENDAR.previous_session(d).month != d.month
    ]
    assert due == firsts[-1]

"""What is stored is told as it is: counts, spans and rejects of every dataset, and rows as they were known at an instant."""

from datetime import UTC, date, datetime, timedelta

import pytest

from daemon.data_table import NoSuchColumn, cells, datasets_table, show
from daemon.fetch_record import Result, Span, begin, finish
from daemon.raw_archive import Kept
from daemon.store.datasets import Counts, append
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from scrapers import DATASETS, tables
from scrapers.base import Batch
from scrapers.http import Exchange
from scrapers.sources.congress_trades import CongressTrade
from tests.integration.small_world import END, execute, undone

NOW = datetime(2022, 4, 1, 12, tzinfo=UTC)


SOURCES = {name: dataset.sources[:1] for name, dataset in DATASETS.items()}
HOST_SOURCE = SOURCES["vix"][0]


def table(small_world, lake=None, db=None, **options):
    """The lines by dataset."""
    given = {"sources": SOURCES, "calendar": small_world.calendar, "budget": {}} | options
    return {line["name"]: line for line in datasets_table(db or small_world.db, DATASETS, lake or small_world.lake, NOW, **given)}


def test_each_dataset_is_told_with_its_rows_span_rejects_and_source(small_world):
    lines = table(small_world)
    assert list(lines) == sorted(DATASETS)
    (raw,) = execute(
        small_world.db, "SELECT count(*) AS n, min(event_at) AS first, max(event_at) AS last, max(known_at) AS known FROM congress_trades"
    )
    line = lines["congress_trades"]
    assert (line["versions"], line["sealed"]) == (raw["n"], raw["n"])
    assert (line["first_event_at"], line["latest_event_at"], line["latest_known_at"]) == (raw["first"], raw["last"], raw["known"])
    assert line["known_age_s"] == (NOW - raw["known"]).total_seconds()
    assert line["rejected"] == {"no_ticker": 1}
    assert [source["name"] for source in line["sources"]] == [SOURCES["congress_trades"][0].name]
    assert (lines["vix"]["versions"], lines["vix"]["latest_known_at"], lines["vix"]["rejected"]) == (0, None, {})


def test_a_source_is_told_with_its_last_fetch_its_circuit_and_what_it_used_of_its_allowance(small_world):
    db, name = small_world.db, HOST_SOURCE.name
    state = {"failures": 5, "open_until": {"$instant": "2022-04-01T13:00:00+00:00"}}
    span = Span(since=NOW, until=NOW, backfill=False)
    exchange = Exchange(
        source=name, group=HOST_SOURCE.rate.group, method="GET", url="https://x.example.org/", asked={}, status=200,
        headers={}, content=b"", started_at=NOW - timedelta(seconds=1), fetched_at=NOW,
    )  # fmt: skip
    with undone(db):
        db.run("watermark_set", dataset="vix", source=name, watermark=NOW, fetched_at=NOW)
        db.run("circuit_set", source=name, state=state)
        fetch_id = begin(db, "vix", HOST_SOURCE, span, {}, NOW)
        result = Result(stamped_at=NOW, counts=Counts(new=3, rejected=1), error_type="SourceChanged", error="moved")
        finish(db, fetch_id, result, [Kept(exchange=exchange, n_bytes=7, sha256=None, path=None)], NOW)
        line = table(small_world, budget={HOST_SOURCE.rate.group: 2})["vix"]
    (told,) = line["sources"]
    assert (told["watermark"], told["fetched_at"], told["outcome"], told["error"]) == (NOW, NOW, "failed", "moved")
    assert (told["new"], told["rejected"], told["requests"], told["bytes"]) == (3, 1, 1, 7)
    assert (told["circuit"], told["rate_used"], told["rate_allowed"]) == ("open until 2022-04-01 13:00", 1, 2)
    assert line["due_at"] > NOW and line["stale"] == ""


def test_a_dataset_that_nobody_reads_is_judged_by_its_rows(small_world):
    lines = table(small_world)
    assert lines["congress_trades"]["stale"] == (
        "" if DATASETS["congress_trades"].max_silence is None else lines["congress_trades"]["stale"]
    )
    assert lines["vix"]["stale"] == "never collected and never imported"
    assert cells(lines["vix"], NOW)[3] == "STALE: never collected and never imported"


def test_a_store_without_tables_has_a_line_of_zeros_for_each_dataset(small_world, tmp_path):
    empty = Database(small_world.conninfo, schema="nothing_yet")
    empty.migrate()
    try:
        lines = table(small_world, Lake(tmp_path), empty).values()
    finally:
        empty.drop_schema()
        empty.close()
    assert [line["name"] for line in lines] == sorted(DATASETS)
    assert {(line["versions"], line["sealed"]) for line in lines} == {(0, 0)}


def test_a_segment_that_cannot_be_read_shows_as_unknown(small_world, tmp_path):
    (tmp_path / "vix").mkdir()
    (tmp_path / "vix" / f"{1:012d}-{2:012d}.parquet").write_bytes(b"torn")
    line = table(small_world, Lake(tmp_path))["vix"]
    assert line["sealed"] is None


def test_the_newest_rows_of_a_symbol_are_those_of_the_table(small_world):
    frame = show(small_world.lake, DATASETS["bars_daily"], symbol="aaa", limit=5)
    raw = execute(small_world.db, "SELECT session, close FROM bars_daily WHERE symbol = 'AAA' ORDER BY session DESC LIMIT 5")
    assert list(zip(frame["session"], frame["close"], strict=True)) == [(r["session"], r["close"]) for r in reversed(raw)]
    assert frame["session"].iloc[-1] == END


def test_nothing_that_became_known_after_the_instant_is_shown(small_world):
    asof = datetime(2022, 2, 1, 21, 19, tzinfo=UTC)
    frame = show(small_world.lake, DATASETS["bars_daily"], symbol="AAA", asof=asof, limit=3)
    assert frame["session"].iloc[-1] == date(2022, 1, 31), "the bar of 1 February is known at 16:20 New York"
    later = show(small_world.lake, DATASETS["bars_daily"], symbol="AAA", asof=asof.replace(minute=20), limit=3)
    assert later["session"].iloc[-1] == date(2022, 2, 1)


def test_a_revised_row_is_shown_once_in_the_version_known_at_the_instant(small_world, tmp_path):
    db, dataset, lake = small_world.db, DATASETS["congress_trades"], Lake(tmp_path)
    (row,) = execute(db, "SELECT * FROM congress_trades WHERE filing_id = 'F0050'")
    changed = CongressTrade(**{f: row[f] for f in CongressTrade.__dataclass_fields__} | {"party": "restated"})
    item = tables.Timed(row=changed, event_at=row["event_at"], known_at=datetime(2022, 3, 31, tzinfo=UTC))
    with undone(db):
        append(db, dataset, Batch(rows=tables.table(CongressTrade, [item])), NOW)
        lake.seal(db, dataset)
    now, before = show(lake, dataset, limit=1000), show(lake, dataset, asof=datetime(2022, 3, 30, tzinfo=UTC), limit=1000)
    assert now.loc[now["filing_id"] == "F0050", "party"].tolist() == ["restated"]
    assert before.loc[before["filing_id"] == "F0050", "party"].tolist() == [""]
    assert now["row_key"].is_unique


def test_a_withdrawn_row_is_not_shown_and_a_renamed_security_is_found_by_both_names(small_world, tmp_path):
    db, dataset, lake = small_world.db, DATASETS["congress_trades"], Lake(tmp_path)
    (row,) = execute(db, "SELECT * FROM congress_trades WHERE filing_id = 'F0050'")
    made = {f: row[f] for f in CongressTrade.__dataclass_fields__}
    then, known = datetime(2022, 3, 1, tzinfo=UTC), datetime(2022, 3, 31, tzinfo=UTC)
    trades = [CongressTrade(**made | {"symbol": s, "ticker_text": s, "filing_id": f"X{s}"}) for s in ("FB", "META")]
    items = [tables.Timed(row=trade, event_at=then, known_at=known) for trade in trades]
    items.append(tables.Timed(row=CongressTrade(**made), event_at=row["event_at"], known_at=known, gone=True))
    with undone(db):
        append(db, dataset, Batch(rows=tables.table(CongressTrade, items)), NOW)
        lake.seal(db, dataset)
    assert "F0050" not in show(lake, dataset, limit=1000)["filing_id"].tolist()
    assert "F0050" in show(lake, dataset, asof=datetime(2022, 3, 30, tzinfo=UTC), limit=1000)["filing_id"].tolist()
    for name in ("FB", "META"):
        assert sorted(show(lake, dataset, symbol=name)["symbol"]) == ["FB", "META"]


def test_a_limit_keeps_the_rows_that_became_known_last(small_world):
    everything = show(small_world.lake, DATASETS["congress_trades"], limit=1000)
    few = show(small_world.lake, DATASETS["congress_trades"], limit=7)
    assert len(everything) == 75
    assert few["row_key"].tolist() == everything["row_key"].tolist()[-7:]
    assert few["known_at"].is_monotonic_increasing


def test_an_empty_dataset_has_its_columns_and_no_rows(small_world):
    frame = show(small_world.lake, DATASETS["vix"])
    assert frame.empty
    assert list(frame.columns[:3]) == ["event_at", "known_at", "session"]


def test_asking_a_dataset_without_symbols_by_symbol_says_which_columns_it_has(small_world):
    with pytest.raises(NoSuchColumn, match=r"vix has no symbols; its columns are session, "):
        show(small_world.lake, DATASETS["vix"], symbol="AAA")

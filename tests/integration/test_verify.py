"""Recorded decisions come out again from their stored inputs; whatever was tampered with is named."""

import shutil
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from daemon.settle import open_account
from daemon.store.datasets import append
from daemon.store.postgres import Database
from daemon.store.segments import Lake
from daemon.store.view import Archive
from daemon.verify import verify
from scrapers import DATASETS, tables
from scrapers.base import Batch
from scrapers.sources.congress_trades import CongressTrade
from strategies import CATALOG
from tests.integration.small_world import END, START, VERSION, disclosure, execute, fill_store, runtime, settings, trade, undone


def verified(world, lake=None, **options):
    return verify(world.db, lake or world.lake, DATASETS, CATALOG, world.calendar, **options)


def wrong(verdicts):
    return {v.cycle_id: v.differences for v in verdicts if not v.ok}


@pytest.fixture
def own_lake(small_world, tmp_path):
    """A copy of the segments that a test may change."""
    shutil.copytree(small_world.lake.directory, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def rewrite(lake, dataset, change):
    """Replace a dataset's only segment by what `change` makes of its table."""
    (segment,) = lake.segments(dataset)
    pq.write_table(change(pq.read_table(segment.path)), segment.path)


def test_every_decision_of_sixty_sessions_comes_out_again(small_world):
    verdicts = verified(small_world, code_version=VERSION)
    assert [v.session for v in verdicts] == small_world.calendar.sessions(START, END)
    assert wrong(verdicts) == {}
    assert all(v.notes == () for v in verdicts)
    orders = execute(small_world.db, "SELECT count(DISTINCT cycle_id) AS n FROM orders")[0]["n"]
    assert orders > 20, "most decisions must be about something"


def test_the_last_few_decisions_are_verified_in_order_of_session(small_world):
    verdicts = verified(small_world, last=3)
    assert [v.session for v in verdicts] == small_world.calendar.sessions(START, END)[-3:]
    assert wrong(verdicts) == {}


def test_a_decision_of_other_code_is_noted_and_no_difference(small_world):
    (verdict,) = verified(small_world, last=1, code_version="test-2")
    assert verdict.ok
    assert verdict.notes == (f"decided by {VERSION}, derived by test-2",)


# By what is changed: the statement, for a cycle that evaluated congress_aggregate and sent orders, and how the difference begins.
TAMPERED = {
    "a target": (
        "UPDATE targets SET weight = weight + 0.01 WHERE cycle_id = %(c)s AND symbol = %(s)s",
        "target congress_aggregate {symbol}: recorded ",
    ),
    "a score": (
        "UPDATE targets SET score = 1 WHERE cycle_id = %(c)s AND symbol = %(s)s",
        "target congress_aggregate {symbol}: recorded 1.0, derived ",
    ),
    "a contribution": (
        "UPDATE evidence SET contribution = 2 * contribution WHERE cycle_id = %(c)s AND symbol = %(s)s",
        "evidence congress_aggregate {symbol} congress_trades ",
    ),
    "lost evidence": (
        "DELETE FROM evidence WHERE cycle_id = %(c)s AND symbol = %(s)s",
        "evidence congress_aggregate {symbol} congress_trades ",
    ),
    "a quantity": ("UPDATE orders SET qty = qty + 1 WHERE cycle_id = %(c)s AND symbol = %(s)s", "order {symbol}: recorded "),
    "a share": (
        "UPDATE order_shares SET sleeve = 'other' WHERE sleeve = 'congress_aggregate' AND client_order_id IN"
        " (SELECT client_order_id FROM orders WHERE cycle_id = %(c)s AND symbol = %(s)s)",
        "order {symbol}: recorded ",
    ),
    "a weight": (
        "UPDATE sleeve_weights SET weight = 0.5 WHERE cycle_id = %(c)s AND symbol = %(s)s",
        "weight congress_aggregate {symbol}: recorded 0.5",
    ),
    "an allocation": (
        "UPDATE cycles SET allocation = jsonb_set(allocation, '{capital,congress_aggregate}', '0.9') WHERE cycle_id = %(c)s",
        "allocation capital.congress_aggregate: recorded 0.9, derived ",
    ),
    "a reason": (
        "UPDATE cycles SET allocation = jsonb_set(allocation, '{reason}', '\"a whim\"') WHERE cycle_id = %(c)s",
        "decision reason: recorded a whim, derived due: ",
    ),
    "the hash": ("UPDATE cycles SET decision_hash = 'x' WHERE cycle_id = %(c)s", "decision hash: recorded x, derived "),
    "an outcome": (
        "UPDATE evaluations SET outcome = 'held' WHERE cycle_id = %(c)s AND sleeve = 'congress_aggregate'",
        "evaluation congress_aggregate: recorded held",
    ),
    "a parameter": (
        "UPDATE cycles SET input = jsonb_set(input, '{sleeves,0,params,max_weight}', '0.05') WHERE cycle_id = %(c)s",
        "target congress_aggregate {symbol}: recorded ",
    ),
    "a transfer": (
        "UPDATE ledger_entries SET amount = 2 * amount WHERE transaction_id LIKE 'transfer:' || %(c)s || ':congress_aggregate'",
        "transfer congress_aggregate: recorded ",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_record_fails_its_own_decision_and_is_named(small_world, what):
    statement, begins = TAMPERED[what]
    found = execute(
        small_world.db,
        "SELECT o.cycle_id, o.symbol FROM orders o JOIN targets t USING (cycle_id, symbol)"
        " JOIN order_shares s USING (client_order_id, sleeve)"
        " JOIN ledger_transactions l ON l.id = 'transfer:' || o.cycle_id || ':congress_aggregate'"
        " WHERE t.sleeve = 'congress_aggregate' AND t.weight > 0.06 ORDER BY o.cycle_id DESC, o.symbol LIMIT 1",
    )[0]
    cycle, symbol = found["cycle_id"], found["symbol"]
    with undone(small_world.db):
        execute(small_world.db, statement, c=cycle, s=symbol)
        differences = wrong(verified(small_world, last=10))
    assert set(differences) == {cycle}
    assert any(d.startswith(begins.replace("{symbol}", symbol)) for d in differences[cycle]), differences[cycle]


def test_a_tampered_shadow_return_is_named_where_it_was_made_and_where_it_was_used(small_world):
    sessions = small_world.calendar.sessions(START, END)
    with undone(small_world.db):
        execute(
            small_world.db,
            "UPDATE shadow_marks SET return_frac = 0.5 WHERE session = %(d)s AND sleeve = 'congress_aggregate'",
            d=sessions[-4],
        )
        differences = wrong(verified(small_world, last=5))
    cycles = [d.strftime("%Y%m%d") for d in sessions]
    assert list(differences) == cycles[-3:]
    assert any(d.startswith(f"shadow return congress_aggregate {sessions[-4]}: recorded 0.5") for d in differences[cycles[-3]])
    assert differences[cycles[-2]][0] == "history: the recorded shadow returns are not those that the decision saw"


def test_a_changed_amount_in_a_segment_fails_the_decisions_that_rest_on_it_and_no_earlier_one(small_world, own_lake):
    """The amount of one disclosure is raised a hundredfold."""
    (row,) = execute(small_world.db, "SELECT row_key::text AS key, symbol, known_at FROM congress_trades WHERE filing_id = 'F0067'")

    def raise_amount(table):
        hit = pc.equal(table.column("row_key"), row["key"])
        raised = pc.if_else(hit, pc.multiply(table.column("amount_low_usd"), 100.0), table.column("amount_low_usd"))
        return table.set_column(table.column_names.index("amount_low_usd"), "amount_low_usd", raised)

    rewrite(own_lake, "congress_trades", raise_amount)
    differences = wrong(verified(small_world, own_lake))
    assert differences
    assert min(differences) >= row["known_at"].strftime("%Y%m%d")
    first = differences[min(differences)]
    assert any(d.startswith(f"target congress_aggregate {row['symbol']}: recorded ") for d in first)
    assert any(d.startswith(f"evidence congress_aggregate {row['symbol']} congress_trades {row['key']}: recorded ") for d in first)


def test_a_changed_close_in_a_segment_fails_the_decision_on_that_price(small_world, own_lake):
    day = small_world.calendar.sessions(START, END)[-2]

    def double(table):
        hit = pc.and_(pc.equal(table.column("symbol"), "BBB"), pc.equal(table.column("session"), pa.scalar(day, pa.date32())))
        for name in ("close", "adj_close"):
            changed = pc.if_else(hit, pc.multiply(table.column(name), 2.0), table.column(name))
            table = table.set_column(table.column_names.index(name), name, changed)
        return table

    rewrite(own_lake, "bars_daily", double)
    differences = wrong(verified(small_world, own_lake, last=4))
    assert list(differences) == [END.strftime("%Y%m%d")]
    assert any(d.startswith("decision NAV: recorded ") for d in differences[END.strftime("%Y%m%d")])


def test_rows_that_are_gone_from_a_segment_are_counted_for_every_decision_that_knew_them(small_world, own_lake):
    (row,) = execute(small_world.db, "SELECT row_key::text AS key, known_at FROM congress_trades WHERE filing_id = 'F0067'")
    rewrite(own_lake, "congress_trades", lambda table: table.filter(pc.not_equal(table.column("row_key"), row["key"])))
    differences = wrong(verified(small_world, own_lake))
    knew = [d for d in small_world.calendar.sessions(START, END) if small_world.calendar.open_at(d) > row["known_at"]]
    assert list(differences) == [d.strftime("%Y%m%d") for d in knew]
    assert all(d[0] == "data: 1 versions of congress_trades that were known then are gone" for d in differences.values())


def test_data_imported_later_under_an_earlier_date_is_left_out_and_noted(small_world, own_lake):
    """A backfilled purchase of ten million would have changed the targets, had it been there."""
    backfilled = disclosure(901, "HHH", date(2022, 1, 4), date(2022, 3, 1), low=10_000_000.0)
    db, dataset = small_world.db, DATASETS["congress_trades"]
    with undone(db):
        append(db, dataset, Batch(rows=tables.table(CongressTrade, [backfilled])), datetime(2022, 4, 2, tzinfo=UTC))
        assert own_lake.seal(db, dataset) == 1
        view = Archive(own_lake, DATASETS.values(), small_world.calendar).view(small_world.calendar.open_at(date(2022, 3, 7)))
        seen = view.events("congress_trades")["filing_id"].tolist()
        verdicts = verified(small_world, own_lake)
    assert "F0901" in seen, "a view of today's store shows the row to the past"
    assert wrong(verdicts) == {}
    noted = {v.session for v in verdicts if v.notes}
    assert noted == {d for d in small_world.calendar.sessions(START, END) if d >= date(2022, 3, 2)}
    assert {n for v in verdicts for n in v.notes} == {
        "congress_trades: versions were added since under earlier dates; derived without them"
    }


def test_a_strategy_that_left_the_catalog_leaves_its_decisions_unverified_with_its_name(small_world):
    remaining = {name: s for name, s in CATALOG.items() if name != "congress_aggregate"}
    (verdict,) = verify(small_world.db, small_world.lake, DATASETS, remaining, small_world.calendar, last=1)
    assert not verdict.ok
    assert verdict.differences == ("strategies: congress_aggregate not in the catalog any more, so that nothing can be derived",)


def test_verifying_writes_nothing(small_world):
    """The server's own count of this transaction; what earlier ones wrote may not have left it yet, hence the differences."""
    written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::int AS n FROM pg_stat_xact_user_tables"
    with undone(small_world.db):
        before = execute(small_world.db, written)[0]["n"]
        verified(small_world, last=5)
        assert execute(small_world.db, written)[0]["n"] == before
        small_world.db.run("meta_set", key="control", value={})
        assert execute(small_world.db, written)[0]["n"] == before + 1, "a write would have been seen"


def test_decisions_come_out_again_over_restarts_and_with_strategies_added_retired_and_taken_back(tmp_path, small_world):
    """A process per session; congress_aggregate joins after five sessions and rests for three after the tenth."""
    calendar, days = small_world.calendar, small_world.calendar.sessions(START, END)[:18]
    db, lake = Database(small_world.conninfo, schema="restarts", durable=False), Lake(tmp_path / "lake")
    db.migrate()
    try:
        fill_store(db, lake, calendar, small_world.sessions)
        rt = runtime(settings(), db, lake, calendar, small_world.sessions)
        everything = rt.strategies
        open_account(rt)
        for n, day in enumerate(days):
            absent = n < 5 or 10 <= n < 13
            rt.strategies = {name: s for name, s in everything.items() if name != "congress_aggregate" or not absent}
            rt.book.reload()
            rt.archive = Archive(lake, DATASETS.values(), calendar)
            trade(rt, day, day)
        verdicts = verify(db, lake, DATASETS, CATALOG, calendar)
        sleeves = [len(r["input"]["sleeves"]) for r in execute(db, "SELECT input FROM cycles ORDER BY session")]
    finally:
        db.drop_schema()
        db.close()
    assert sleeves == [2] * 5 + [3] * 5 + [2] * 3 + [3] * 5
    assert [v.session for v in verdicts] == days
    assert wrong(verdicts) == {}

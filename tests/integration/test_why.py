"""An explanation leads from a trade to the very rows behind it; every claim is checked against the raw tables."""

import io
import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from daemon.store.datasets import append
from daemon.why import NothingKnown, explain, rederiver, render
from scrapers import DATASETS, tables
from scrapers.base import Batch
from scrapers.sources.congress_trades import CongressTrade
from strategies import CATALOG
from tests.integration.small_world import disclosure, execute, undone


def printed(explanation) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(render(explanation))
    return console.file.getvalue()


def orders(world, **conditions):
    return [
        r for r in execute(world.db, "SELECT * FROM orders ORDER BY intended_at, symbol") if all(r[k] == v for k, v in conditions.items())
    ]


def sleeve_of(explanation, name):
    return next(s for s in explanation["sleeves"] if s["sleeve"] == name)


def test_each_disclosure_behind_a_position_is_told_with_who_when_known_when_amount_and_link(small_world):
    db = small_world.db
    told = explain(db, DATASETS, "bbb")
    sleeve = sleeve_of(told, "congress_aggregate")
    decided_at = datetime.fromisoformat(sleeve["target"]["at"])
    raw = execute(
        db,
        "SELECT * FROM congress_trades WHERE symbol = 'BBB' AND known_at <= %(at)s AND known_at >= %(since)s",
        at=decided_at,
        since=decided_at - timedelta(days=30),
    )
    assert raw
    assert {e["row_key"] for e in sleeve["evidence"]} == {str(r["row_key"]) for r in raw}
    for row in raw:
        item = next(e for e in sleeve["evidence"] if e["row_key"] == str(row["row_key"]))
        assert (item["who"], item["what"], item["amount"]) == (row["member"], row["transaction"], row["amount_text"])
        assert item["event_at"] == row["event_at"].isoformat()
        assert item["known_at"] == row["known_at"].isoformat()
        assert item["lag_days"] == round((row["known_at"] - row["event_at"]).total_seconds() / 86400, 2) >= 20
        assert item["source_url"] == row["source_url"]
        assert item["known_in_time"]
        assert item["revised_at"] is None
        sign = 1 if row["transaction"] == "purchase" else -1
        assert item["contribution"] == sign * (row["amount_low_usd"] + row["amount_high_usd"]) / 2
    score = execute(
        db,
        "SELECT score FROM targets WHERE cycle_id = %(c)s AND symbol = 'BBB' AND sleeve = 'congress_aggregate'",
        c=sleeve["target"]["cycle_id"],
    )
    assert sleeve["evidence_sum"] == {"sum": pytest.approx(score[0]["score"]), "score": score[0]["score"], "matches": True}


def test_bars_behind_a_score_are_told_with_session_and_price(small_world):
    fund = orders(small_world)[-1]["symbol"] if orders(small_world)[-1]["symbol"].startswith("XL") else "XLK"
    sleeve = sleeve_of(explain(small_world.db, DATASETS, fund), "sector_risk_parity_momentum")
    assert len(sleeve["evidence"]) == 4
    for item in sleeve["evidence"]:
        symbol, _, day = item["row_key"].partition("@")
        (bar,) = execute(
            small_world.db, "SELECT * FROM bars_daily WHERE symbol = %(s)s AND session = %(d)s", s=symbol, d=date.fromisoformat(day)
        )
        assert item["row"]["close"] == bar["close"]
        assert item["row"]["session"] == day
        assert item["known_at"] == bar["known_at"].isoformat()
    assert sleeve["evidence_sum"]["matches"]


def test_the_order_is_told_as_recorded_with_its_fills_slippage_and_shares_by_sleeve(small_world):
    order = orders(small_world, symbol="AAA")[-1]
    told = explain(small_world.db, DATASETS, "AAA")["order"]
    assert told["client_order_id"] == order["client_order_id"]
    assert (told["side"], told["status"], told["type"]) == (order["side"], "filled", "market")
    assert Decimal(told["qty"]) == order["qty"] == sum(Decimal(f["qty"]) for f in told["fills"])
    paid = sum(Decimal(f["qty"]) * Decimal(f["price"]) for f in told["fills"]) / order["qty"]
    sign = 1 if order["side"] == "buy" else -1
    assert told["slippage_bps"] == pytest.approx(float(sign * (paid / order["decision_price"] - 1)) * 1e4, abs=0.2)
    signed = sum(Decimal(s["qty"]) for s in told["shares"])
    assert signed == sign * order["qty"]


def test_shares_tell_what_went_through_the_market_and_what_sleeves_crossed_among_themselves(small_world):
    crossing = execute(
        small_world.db,
        "SELECT o.symbol, o.intended_at, o.qty, o.side FROM orders o JOIN order_shares s USING (client_order_id)"
        " GROUP BY o.client_order_id HAVING min(s.qty) < 0 AND max(s.qty) > 0 ORDER BY o.intended_at LIMIT 1",
    )[0]
    shares = explain(small_world.db, DATASETS, crossing["symbol"], crossing["intended_at"])["order"]["shares"]
    sign = 1 if crossing["side"] == "buy" else -1
    assert sum(Decimal(s["crossed"]) for s in shares) == 0
    assert any(Decimal(s["crossed"]) for s in shares)
    assert sum(Decimal(s["market"]) for s in shares) == sign * crossing["qty"]
    assert all(Decimal(s["market"]) + Decimal(s["crossed"]) == Decimal(s["qty"]) for s in shares)


def test_the_cycle_its_capital_and_the_limits_that_bound_are_those_of_the_record(small_world):
    told = explain(small_world.db, DATASETS, "AAA")
    (cycle,) = execute(small_world.db, "SELECT * FROM cycles WHERE cycle_id = %(c)s", c=told["order"]["cycle_id"])
    allocation = cycle["allocation"]
    assert (told["cycle"]["reason"], told["cycle"]["rung"], told["cycle"]["nav_usd"]) == (
        allocation["reason"],
        allocation["rung"],
        allocation["nav_usd"],
    )
    assert told["cycle"]["var95"] == allocation["var95"]
    for sleeve in told["sleeves"]:
        name = sleeve["sleeve"]
        assert [sleeve[k] for k in ("capital", "budgets", "views", "posterior")] == [
            allocation[k][name] for k in ("capital", "budgets", "views", "posterior")
        ]
        (weight,) = execute(
            small_world.db,
            "SELECT weight FROM sleeve_weights WHERE cycle_id = %(c)s AND sleeve = %(s)s AND symbol = 'AAA'",
            c=cycle["cycle_id"],
            s=name,
        )
        assert sleeve["weight_frac"] == weight["weight"]
    names = {s["sleeve"] for s in told["sleeves"]}
    mine = [b for b in allocation["bound"] if b["subject"] in {"AAA", "Energy", "portfolio"} | names]
    assert sorted(told["bound"], key=str) == sorted(mine, key=str)
    assert any(b["limit"] == "symbol" and b["subject"] == "AAA" for b in told["bound"])


def test_an_earlier_instant_tells_the_order_of_that_time_and_the_position_held_then(small_world):
    first = orders(small_world, symbol="AAA")[0]
    told = explain(small_world.db, DATASETS, "AAA", first["intended_at"])
    assert told["order"]["client_order_id"] == first["client_order_id"]
    assert told["position"] == {"qty": "0", "by_sleeve": {}}, "the order is not filled yet at its own instant"
    assert told["latest"] is None
    later = explain(small_world.db, DATASETS, "AAA", first["intended_at"] + timedelta(hours=1))
    bought = {s["sleeve"]: Decimal(s["qty"]) for s in told["order"]["shares"]}
    assert {k: Decimal(v) for k, v in later["position"]["by_sleeve"].items()} == bought


def test_positions_by_sleeve_are_those_of_the_ledger(small_world):
    for symbol in small_world.rt.book.ledger.account_positions():
        told = explain(small_world.db, DATASETS, symbol)["position"]
        assert {k: Decimal(v) for k, v in told["by_sleeve"].items()} == small_world.rt.book.ledger.holders(symbol)


def test_a_sale_of_what_is_not_wanted_any_more_says_since_when_and_when_it_last_was(small_world):
    closing = execute(
        small_world.db,
        "SELECT o.* FROM orders o WHERE o.side = 'sell' AND NOT EXISTS"
        " (SELECT 1 FROM sleeve_weights w WHERE w.cycle_id = o.cycle_id AND w.symbol = o.symbol) ORDER BY o.intended_at DESC LIMIT 1",
    )[0]
    told = explain(small_world.db, DATASETS, closing["symbol"], closing["intended_at"])
    (seller,) = [s for s in told["sleeves"] if s["sleeve"] == told["order"]["shares"][0]["sleeve"]]
    assert seller["target"]["weight"] is None
    assert "not wanted any more; last wanted in session" in seller["target"]["note"]
    assert Decimal(seller["held_before"]) == closing["qty"]
    assert "not wanted any more" in printed(told)


def test_every_symbol_ever_ordered_is_explained_at_every_order_down_to_rows_known_in_time(small_world):
    again = rederiver(small_world.lake, DATASETS, CATALOG, small_world.calendar)
    for order in orders(small_world)[::3]:
        told = explain(small_world.db, DATASETS, order["symbol"], order["intended_at"], rederive=again)
        assert json.loads(json.dumps(told)) == told
        assert told["order"]["client_order_id"] == order["client_order_id"]
        assert {s["sleeve"] for s in told["order"]["shares"]} <= {s["sleeve"] for s in told["sleeves"]}
        for sleeve in told["sleeves"]:
            wanted = sleeve["target"]["weight"] is not None
            assert wanted == bool(sleeve["evidence"])
            assert all(
                e["found"] and e["known_in_time"] and datetime.fromisoformat(e["known_at"]) <= order["intended_at"]
                for e in sleeve["evidence"]
            )
            assert not wanted or sleeve["evidence_sum"]["matches"]
            assert math.isfinite(sleeve["weight_frac"])
        assert order["symbol"] in printed(told)


def test_a_target_from_the_warm_up_has_its_evidence_derived_again_or_says_that_none_was_recorded(small_world):
    first = orders(small_world)[0]
    fund = next(o["symbol"] for o in orders(small_world, intended_at=first["intended_at"]) if o["symbol"].startswith("XL"))
    plain = sleeve_of(explain(small_world.db, DATASETS, fund, first["intended_at"]), "sector_risk_parity_momentum")
    assert plain["evidence"] == []
    assert "records no evidence" in plain["target"]["note"]
    again = rederiver(small_world.lake, DATASETS, CATALOG, small_world.calendar)
    derived = sleeve_of(explain(small_world.db, DATASETS, fund, first["intended_at"], rederive=again), "sector_risk_parity_momentum")
    assert derived["target"]["weight"] == plain["target"]["weight"]
    assert len(derived["evidence"]) == 4
    assert derived["evidence_sum"]["matches"]


def test_a_row_that_was_restated_after_the_decision_is_told_as_it_was_known_with_the_date_of_the_change(small_world):
    db = small_world.db
    before = sleeve_of(explain(db, DATASETS, "BBB"), "congress_aggregate")["evidence"][0]
    (row,) = execute(db, "SELECT * FROM congress_trades WHERE row_key = %(k)s::uuid", k=before["row_key"])
    changed = CongressTrade(**{f: row[f] for f in CongressTrade.__dataclass_fields__} | {"party": "restated"})
    item = tables.Timed(row=changed, event_at=row["event_at"], known_at=None)
    with undone(db):
        append(db, DATASETS["congress_trades"], Batch(rows=tables.table(CongressTrade, [item])), datetime(2022, 5, 2, tzinfo=UTC))
        after = sleeve_of(explain(db, DATASETS, "BBB"), "congress_aggregate")["evidence"][0]
    assert after["row"]["party"] == ""
    assert after["revised_at"] == "2022-05-02T00:00:00+00:00"


def test_evidence_that_is_gone_from_the_store_is_named_not_left_out(small_world):
    with undone(small_world.db):
        key = sleeve_of(explain(small_world.db, DATASETS, "BBB"), "congress_aggregate")["evidence"][0]["row_key"]
        execute(small_world.db, "DELETE FROM congress_trades WHERE row_key = %(k)s::uuid", k=key)
        told = explain(small_world.db, DATASETS, "BBB")
    item = sleeve_of(told, "congress_aggregate")["evidence"][0]
    assert (item["row_key"], item["found"]) == (key, False)
    assert "is not stored any more" in printed(told)


def test_a_strategy_that_failed_in_the_cycle_is_told_with_its_reason(small_world):
    order = orders(small_world, symbol="AAA")[-1]
    with undone(small_world.db):
        execute(
            small_world.db,
            "INSERT INTO evaluations VALUES (%(c)s, 'volatility_scaled_momentum', %(d)s, 'failed', 'ValueError: [red]no[/red]', '{}')",
            c=order["cycle_id"],
            d=order["session"],
        )
        told = explain(small_world.db, DATASETS, "AAA")
    assert sleeve_of(told, "volatility_scaled_momentum")["stayed"] == "failed: ValueError: [red]no[/red]"
    assert "kept its earlier targets: failed: ValueError: [red]no[/red]" in printed(told), "nothing is read as markup"


def test_a_position_that_no_decision_made_is_told_from_the_ledger(small_world):
    with undone(small_world.db):
        execute(
            small_world.db,
            "INSERT INTO ledger_transactions (id, kind, at, memo) VALUES ('opening:ZZZ', 'adopt', '2022-01-03', 'found at first start')",
        )
        execute(
            small_world.db,
            "INSERT INTO ledger_entries VALUES ('opening:ZZZ', 'sleeve:suspense', 'ZZZ', 5), ('opening:ZZZ', 'equity', 'ZZZ', -5)",
        )
        told = explain(small_world.db, DATASETS, "ZZZ")
    assert told["position"] == {"qty": "5", "by_sleeve": {"suspense": "5"}}
    assert (told["order"], told["cycle"]) == (None, None)
    assert "adopt suspense 5 found at first start" in printed(told)


def test_a_cross_that_sent_nothing_is_told_with_its_price_and_sides(small_world):
    last = execute(small_world.db, "SELECT * FROM cycles ORDER BY session DESC LIMIT 1")[0]
    with undone(small_world.db):
        execute(
            small_world.db,
            'INSERT INTO crosses VALUES (\'cross:x:AAA\', %(c)s, %(s)s, \'AAA\', \'{"a": "2.5", "b": "-2.5"}\', 36.6, 36.7, now())',
            c=last["cycle_id"],
            s=last["session"],
        )
        told = explain(small_world.db, DATASETS, "AAA")
    assert told["order"] is None
    assert told["cross"]["price"] == "36.7"
    assert told["cross"]["shares"][0] == {"sleeve": "a", "qty": "2.5", "market": "0", "crossed": "2.5"}


def test_an_unknown_symbol_gives_one_clear_line(small_world):
    with pytest.raises(NothingKnown, match=r"^NOPE: never ordered, held or wanted$"):
        explain(small_world.db, DATASETS, "nope")


def test_before_its_first_order_a_symbol_is_unknown_and_the_line_says_when_that_comes(small_world):
    first = orders(small_world)[0]
    early = datetime(2021, 6, 1, tzinfo=UTC)
    with pytest.raises(NothingKnown, match=rf"at or before 2021-06-01.*its first order is of {first['intended_at']:%Y-%m-%d}"):
        explain(small_world.db, DATASETS, first["symbol"], early)


def test_a_symbol_that_was_only_passed_over_says_by_whom_and_why(small_world):
    cycle = execute(small_world.db, "SELECT cycle_id FROM evaluations WHERE sleeve = 'congress_aggregate' ORDER BY cycle_id DESC LIMIT 1")[
        0
    ]
    with undone(small_world.db):
        execute(
            small_world.db,
            'UPDATE evaluations SET skipped = \'{"PENNY": "last close 0.40 USD"}\' WHERE cycle_id = %(c)s',
            c=cycle["cycle_id"],
        )
        with pytest.raises(NothingKnown, match=r"congress_aggregate passed it over in session .*: last close 0\.40 USD"):
            explain(small_world.db, DATASETS, "PENNY")


def test_a_disclosure_that_came_after_the_decision_is_no_part_of_the_reason(small_world):
    first = orders(small_world, symbol="AAA")[0]
    told = explain(small_world.db, DATASETS, "AAA", first["intended_at"])
    late = disclosure(900, "AAA", date(2022, 1, 3), date(2022, 3, 1))
    with undone(small_world.db):
        append(
            small_world.db, DATASETS["congress_trades"], Batch(rows=tables.table(CongressTrade, [late])), datetime(2022, 3, 2, tzinfo=UTC)
        )
        assert explain(small_world.db, DATASETS, "AAA", first["intended_at"]) == told

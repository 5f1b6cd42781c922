"""An honest strategy keeps every promise of the conformance suite; one that breaks a promise is refused by that check and by no other."""

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from strategies import signals
from strategies.base import Param, Strategy, Targets, no_evidence, no_targets, weekly
from strategies.conformance import damage, market
from strategies.conformance.checks import CHECKS
from strategies.conformance.listings import ASOF
from strategies.conformance.verdicts import check_valid, ordinary, require_same
from strategies.errors import NotConforming, NotEnoughData

DATASET = "insider_trades"
Run = Callable[..., Targets]


def honest(view: Any, *, top: int = 10, lookback: int = 21, sized: str = "by_risk") -> Targets:
    """Index members by dollars that insiders spent in a month, by inverse volatility."""
    return bought(view, top, lookback, sized, view.events(DATASET, view.asof - timedelta(days=30)).drop_duplicates("row_key"))


def bought(view: Any, top: int, lookback: int, sized: str, rows: pd.DataFrame, *, at_any_price: bool = False) -> Targets:
    members = signals.members(view, "sp500")
    trades = purchases(rows, members)
    dollars = trades.groupby("symbol", sort=True)["usd"].sum()
    symbols, scores = [str(symbol) for symbol in dollars.index], dollars.to_numpy(dtype=np.float64)
    reasons = {} if at_any_price else signals.untradable(view, symbols)
    window = signals.price_window(view, symbols, lookback + 1)
    reasons = reasons | ({} if at_any_price else window.skipped)
    chosen, skipped = signals.ranked(symbols, scores, reasons, top)
    names = [symbols[i] for i in chosen]
    risk = dict(zip(window.symbols, signals.annual_volatility(signals.daily_returns(window.prices)), strict=True)) if window.symbols else {}
    sizes = np.array([1.0 / risk[n] if sized == "by_risk" and risk.get(n, 0.0) > 0 else 1.0 for n in names])
    used = trades[trades["symbol"].isin(names)]
    evidence = signals.evidence_frame(DATASET, used["row_key"].tolist(), used["symbol"].tolist(), used["usd"].to_numpy())
    return signals.targets(names, sizes / sizes.sum() if names else sizes, scores[chosen], evidence, skipped)


def purchases(rows: pd.DataFrame, members: list[str]) -> pd.DataFrame:
    """Columns row_key, symbol, usd, sorted; rows with a missing cell are left out."""
    if "symbol" not in rows:
        return pd.DataFrame({"row_key": [], "symbol": [], "usd": []})
    usd = rows["shares"].astype("float64") * rows["price_usd"].astype("float64")
    kept = rows["code"].eq("P") & rows["symbol"].isin(members) & (usd > 0)
    found = pd.DataFrame({"row_key": rows["row_key"], "symbol": rows["symbol"], "usd": usd})[kept.to_numpy(dtype=bool)]
    return found.sort_values(["symbol", "row_key"])


PARAMS = {
    "top": Param(default=10, low=1, high=40, meaning="names held at most"),
    "lookback": Param(default=21, low=10, high=63, meaning="sessions of volatility"),
    "sized": Param(default="by_risk", choices=("by_risk", "equal"), meaning="how names are sized"),
}
HONEST = Strategy(
    name="honest",
    run=honest,
    needs=(DATASET, "bars_daily", "index_membership"),
    rebalance=weekly("mon"),
    lookback_sessions=63 + signals.RECENT_SESSIONS,
    params=PARAMS,
    description="for these tests",
)


def altered(change: Callable[[Any, Targets], Targets], **declared: Any) -> Strategy:
    """The honest strategy with its targets changed, looked at through the view."""

    @functools.wraps(honest)
    def run(view: Any, **params: Any) -> Targets:
        return change(view, honest(view, **_known(params)))

    return replace(HONEST, run=run, **declared)


def _known(params: dict[str, Any]) -> dict[str, Any]:
    if set(params) - set(PARAMS):
        raise TypeError(f"unexpected {set(params) - set(PARAMS)}")
    return params


def on_rows(change: Callable[[pd.DataFrame], pd.DataFrame], **options: Any) -> Strategy:
    """The honest strategy on rows that went through `change`."""

    @functools.wraps(honest)
    def run(view: Any, *, top: int = 10, lookback: int = 21, sized: str = "by_risk") -> Targets:
        return bought(view, top, lookback, sized, change(view.events(DATASET, view.asof - timedelta(days=30))), **options)

    return replace(HONEST, run=run)


def halved(targets: Targets) -> Targets:
    return replace(targets, weights=targets.weights * 0.5)


def only(targets: Targets, when: bool) -> Targets:
    return halved(targets) if when else targets


# --- strategies that break one promise each -------------------------------------------------------------------------------------------


def other_default() -> Strategy:
    return replace(HONEST, params=PARAMS | {"top": replace(PARAMS["top"], default=11)})


def without_meaning() -> Strategy:
    return replace(HONEST, params=PARAMS | {"top": replace(PARAMS["top"], meaning="")})


def takes_anything() -> Strategy:
    @functools.wraps(honest)
    def run(view: Any, **params: Any) -> Targets:
        return honest(view, **{name: value for name, value in params.items() if name in PARAMS})

    return replace(HONEST, run=run)


def never_wants() -> Strategy:
    return altered(lambda view, targets: no_targets({"KAA": "not today"}))


def short_lookback() -> Strategy:
    return replace(HONEST, lookback_sessions=63)


def one_negative() -> Strategy:
    return altered(lambda view, targets: replace(targets, weights=targets.weights * np.where(np.arange(len(targets.weights)) == 1, -1, 1)))


def worst_first() -> Strategy:
    return altered(lambda view, targets: replace(targets, weights=targets.weights[::-1], scores=targets.scores[::-1]))


def does_not_sum() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        if len(targets.weights) != 1:
            return targets
        return replace(targets, evidence=targets.evidence.assign(contribution=targets.evidence["contribution"] * 1.001))

    return altered(change)


def invented_rows() -> Strategy:
    return altered(lambda view, targets: replace(targets, evidence=targets.evidence.assign(row_key=targets.evidence["row_key"] + "?")))


def rows_of_others() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        keys = targets.evidence["row_key"].to_numpy(dtype=object)
        return replace(targets, evidence=targets.evidence.assign(row_key=pd.Series(np.roll(keys, 1), dtype=object)))

    return altered(change)


def rows_of_an_undeclared_dataset() -> Strategy:
    return altered(lambda view, targets: replace(targets, evidence=targets.evidence.assign(dataset="lobbying")))


def endless_evidence() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        if len(targets.weights) != 1:
            return targets
        rest = pd.concat([targets.evidence.head(1).assign(contribution=0.0)] * 20_000)
        return replace(targets, evidence=pd.concat([targets.evidence, rest], ignore_index=True))

    return altered(change)


def reads_more_than_it_says() -> Strategy:
    return altered(lambda view, targets: only(targets, view.events("vix").empty and False))


def says_more_than_it_reads() -> Strategy:
    return replace(HONEST, uses=("lobbying",))


def undeclared_fund() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        if view.asof != ASOF or len(targets.weights) < 2:
            return targets
        day = view.bars("close", 5, ["SPY"]).dropna().index
        if not len(day):
            return targets
        weights, scores = pd.Series({"SPY": 0.01}), pd.Series({"SPY": targets.scores.max() + 1.0})
        row = signals.evidence_frame("bars_daily", signals.session_keys(["SPY"], day[-1]), ["SPY"], scores.to_numpy())
        return replace(
            targets,
            weights=pd.concat([weights, targets.weights * 0.9]),
            scores=pd.concat([scores, targets.scores]),
            evidence=pd.concat([row, targets.evidence], ignore_index=True),
        )

    return altered(change)


def reads_lots_unsaid() -> Strategy:
    return altered(lambda view, targets: only(targets, view.lots().empty and False))


def counts_what_is_to_come() -> Strategy:
    return altered(lambda view, targets: only(targets, len(view._world.closes) > len(view.sessions)))


def peeks_at_a_later_price() -> Strategy:
    return altered(lambda view, targets: only(targets, bool((view._world.closes["SPY"].iloc[-1:] > 2000.0).any())))


def remembers() -> Strategy:
    seen: list[datetime] = []

    def change(view: Any, targets: Targets) -> Targets:
        seen.append(view.asof)
        return only(targets, view.asof > min(seen))

    return altered(change)


def keeps_the_order_given() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        return replace(targets, skipped={name: "not wanted" for name in view.universe() if name not in targets.weights.index})

    return altered(change)


def writes_into_the_view() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        rows = view.events(DATASET, view.asof - timedelta(days=1))
        rows["seen"] = True
        return targets

    return altered(change)


def counts_twice() -> Strategy:
    return on_rows(lambda rows: rows)


def wants_without_data() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        if len(view.sessions) or len(view.universe()):
            return targets
        evidence = signals.evidence_frame(DATASET, ["x"], ["KAA"], np.ones(1))
        return signals.targets(["KAA"], np.ones(1), np.ones(1), evidence, {})

    return altered(change)


def needs_the_columns() -> Strategy:
    return on_rows(lambda rows: rows[rows["code"].notna()].drop_duplicates("row_key"))


def needs_every_cell() -> Strategy:
    return on_rows(lambda rows: (rows.assign(line=rows["line"].astype("int64")) if "line" in rows else rows).drop_duplicates("row_key"))


def needs_two_rows() -> Strategy:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        if len(rows):
            rows.iloc[1]
        return rows.drop_duplicates("row_key")

    return on_rows(change)


def wants_without_prices() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        if len(view.sessions) == 0 or view.bars("close", 1).shape[1] or not len(view.universe()):
            return targets
        evidence = signals.evidence_frame(DATASET, ["x"], ["KAA"], np.ones(1))
        return signals.targets(["KAA"], np.ones(1), np.ones(1), evidence, {"KAB": "no bars"})

    return altered(change)


def breaks_at_a_hole() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        if view.bars("close", 300, ["SPY"]).iloc[:-10].isna().to_numpy().any():
            raise ValueError("SPY has a hole")
        return targets

    return altered(change, lookback_sessions=300)


def divides_by_volatility() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        closes = view.bars("close", 20, ["SPY"]).to_numpy()
        if closes.shape == (20, 1) and np.ptp(closes) == 0.0:
            raise ZeroDivisionError("SPY never moves")
        return targets

    return altered(change)


def buys_what_does_not_trade() -> Strategy:
    def rows_of_priced(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.drop_duplicates("row_key")

    strategy = on_rows(rows_of_priced, at_any_price=True)

    @functools.wraps(honest)
    def run(view: Any, **params: Any) -> Targets:
        _known(params)
        return strategy.run(view, **params) if view.bars("close", 63).notna().to_numpy().any() else honest(view, **params)

    return replace(strategy, run=run)


def chaotic() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        last = view.bars("close", 1, ["SPY"]).to_numpy().ravel()
        return replace(targets, weights=targets.weights * (0.6 + 0.4 * float(np.sin(np.nan_to_num(last).sum() * 1e8))))

    return altered(change)


def slow() -> Strategy:
    def change(view: Any, targets: Targets) -> Targets:
        started = time.process_time()
        while len(view.universe()) > 400 and time.process_time() - started < 0.26:
            pass
        return targets

    return altered(change)


BROKEN: dict[Callable[[], Strategy], str] = {
    other_default: "declared parameters are the keyword only arguments with the same defaults",
    without_meaning: "every parameter has a meaning and bounds",
    takes_anything: "a wrong parameter is refused",
    never_wants: "an ordinary day gives valid targets",
    short_lookback: "every parameter at its bounds gives valid targets within the declared lookback",
    one_negative: "weights are negative only where it declares shorts",
    worst_first: "scores are in descending order",
    does_not_sum: "contributions of a symbol sum to its score",
    invented_rows: "evidence names rows that the view held",
    rows_of_others: "evidence names rows that the view held",
    rows_of_an_undeclared_dataset: "evidence names rows that the view held",
    endless_evidence: "evidence is short enough to be kept",
    reads_more_than_it_says: "what it reads and holds is declared",
    says_more_than_it_reads: "what it reads and holds is declared",
    undeclared_fund: "what it reads and holds is declared",
    reads_lots_unsaid: "a record of its own is read only where it is declared",
    counts_what_is_to_come: "removing what was learned later changes no byte",
    peeks_at_a_later_price: "a different future changes no byte",
    remembers: "the same view gives the same bytes",
    keeps_the_order_given: "the order of columns members and rows changes no byte",
    writes_into_the_view: "frames of the view are left as they were",
    counts_twice: "repeated event rows change no byte",
    wants_without_data: "nothing is wanted where nothing is known",
    needs_the_columns: "a dataset without rows or columns is an empty one",
    needs_every_cell: "cells without a value are survived",
    needs_two_rows: "one row is enough to run",
    wants_without_prices: "prices that are all missing give nothing",
    breaks_at_a_hole: "scattered missing prices are survived",
    divides_by_volatility: "prices that never move are survived",
    buys_what_does_not_trade: "prices too old to act on give nothing",
    chaotic: "tiny changes of prices move no weight",
    slow: "five hundred names take less than a quarter of a second",
}


ERRORS = (ArithmeticError, LookupError, TypeError, ValueError)
SLOWEST = "cells without a value are survived"


def refusals(make: Callable[[], Strategy], sentences: Iterable[str] = CHECKS) -> dict[str, Exception]:
    """What each check that refuses a strategy, made anew for it, says of it."""
    found = {}
    for sentence in sentences:
        try:
            CHECKS[sentence](make())
        except (NotConforming, *ERRORS) as error:
            found[sentence] = error
    return found


def test_an_honest_strategy_keeps_every_promise() -> None:
    assert refusals(lambda: HONEST) == {}


def test_every_check_has_a_strategy_that_it_refuses() -> None:
    assert set(BROKEN.values()) == set(CHECKS)


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_a_strategy_that_breaks_one_promise_is_refused_by_its_check_alone(make: Callable[[], Strategy]) -> None:
    assert list(refusals(make, [name for name in CHECKS if name != SLOWEST or name == BROKEN[make]])) == [BROKEN[make]]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (short_lookback, "it asks for 68 sessions and declares 63"),
        (one_negative, "with its defaults: .* have negative weights: declare shorts=True"),
        (does_not_sum, r"with {'top': 1}: contributions of a symbol do not sum to its score; K.."),
        (reads_more_than_it_says, "it reads vix: name them in needs, or in uses"),
        (undeclared_fund, "it holds the funds SPY: name them in funds"),
        (counts_what_is_to_come, "as of 2021-03-15 13:00: it looks ahead, .*weights differ, K"),
        (counts_twice, "stands twice in a frame counts twice"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_refusal_tells_the_author_what_is_wrong_and_where(make: Callable[[], Strategy], told: str) -> None:
    with pytest.raises(NotConforming, match=told):
        CHECKS[BROKEN[make]](make())


def test_an_error_of_the_strategy_goes_on_with_a_note_of_what_it_was_run_on() -> None:
    with pytest.raises(ValueError, match="integer") as caught:
        CHECKS[SLOWEST](needs_every_cell())
    assert caught.value.__notes__ == ["strategy honest, without any value of line in insider_trades"]


def test_a_strategy_that_has_not_enough_data_wants_nothing_and_says_why() -> None:
    def run(view: Any, **params: Any) -> Targets:
        raise NotEnoughData("two sessions are too few")

    targets = ordinary(replace(HONEST, run=run))
    assert targets.weights.empty and targets.skipped == {"honest": "two sessions are too few"}


GOOD = signals.targets(
    ["A", "B"], np.array([0.6, 0.4]), np.array([2.0, 1.0]), signals.evidence_frame("d", ["1", "2"], ["A", "B"], np.ones(2)), {}
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": pd.Series([0.6, np.nan], index=["A", "B"])}, "weights holds NaN or infinite values: B"),
        ({"weights": pd.Series([0.6, 0.41], index=["A", "B"])}, "sum to 1.01, more than 1"),
        ({"weights": pd.Series([1, 0], index=["A", "B"])}, "type int64, not float64"),
        ({"weights": {"A": 1.0}}, "weights is dict, not a Series"),
        ({"weights": pd.Series([0.6, 0.4], index=["A", "A"])}, "two weights"),
        ({"scores": pd.Series([1.0, 2.0], index=["B", "A"])}, "same symbols in the same order"),
        ({"scores": pd.Series([np.inf, 2.0], index=["A", "B"])}, "scores holds NaN or infinite values: A"),
        ({"evidence": no_evidence()}, "no evidence for A, B"),
        ({"evidence": GOOD.evidence.drop(columns="dataset")}, "evidence has the columns"),
        ({"evidence": GOOD.evidence.assign(symbol=["A", "C"])}, "no evidence for B"),
        ({"evidence": pd.concat([GOOD.evidence, GOOD.evidence.assign(symbol="C")])}, "evidence for C, which have no weight"),
        ({"skipped": {"A": "why"}}, "A are both wanted and skipped"),
        ({"skipped": {"C": ""}}, "C are skipped without a reason"),
    ],
)
def test_targets_of_another_form_are_refused(changes: dict[str, Any], told: str) -> None:
    check_valid(GOOD, "today")
    with pytest.raises(NotConforming, match=f"today: .*{told}"):
        check_valid(replace(GOOD, **changes), "today")


def test_targets_that_differ_in_one_bit_are_not_the_same_and_the_difference_is_named() -> None:
    other = replace(GOOD, weights=GOOD.weights + np.array([0.0, 1e-16]))
    require_same(GOOD, replace(GOOD), "never raised")
    with pytest.raises(NotConforming, match=r"other bytes \(weights differ, B"):
        require_same(GOOD, other, "other bytes")


def test_the_market_is_the_same_in_every_process() -> None:
    again = market.world.__wrapped__()
    assert again is not market.world()
    pd.testing.assert_frame_equal(again.closes, market.world().closes)
    for name, frame in again.events.items():
        pd.testing.assert_frame_equal(frame, market.world().events[name])


def test_another_future_is_another_one_after_the_day_and_the_same_before_it() -> None:
    other = damage.other_future(market.world(), ASOF)
    for name in market.DATASETS:
        pd.testing.assert_frame_equal(other.at(ASOF).events(name), market.world().at(ASOF).events(name))
        later = ASOF + timedelta(days=60)
        assert not other.at(later).events(name).equals(market.world().at(later).events(name)), name
    pd.testing.assert_frame_equal(other.at(ASOF).bars("adj_close", 100), market.world().at(ASOF).bars("adj_close", 100))


def test_a_spread_of_each_sector_of_pairs_stands_far_from_its_mean_on_the_day() -> None:
    closes = np.log(market.world().at(ASOF).bars("close", 252))
    for y, x in (("KAB", "KAA"), ("KAD", "KAC"), ("KAF", "KAE"), ("KAH", "KAG")):
        spread = (closes[y] - 0.9 * closes[x]).to_numpy()
        assert abs(spread[-1] - spread[:-2].mean()) > 2.0 * spread[:-2].std(ddof=1)

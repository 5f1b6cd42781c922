"""Own strategies before any process: what a folder may hold, what a file may declare, and what it may want."""

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import config
from daemon import compose
from daemon.errors import StartRefused
from daemon.own_answers import Declared, strategy_of, targets_of
from daemon.own_errors import BadAnswer, Failed
from daemon.own_strategies import MOST_SOURCE_BYTES, Budget, find
from strategies import CATALOG
from strategies.base import NAMES, Param, Rebalance, Strategy, Targets, no_targets, weekly
from strategies.worker import load, plain, plain_targets

DATASETS = ("bars_daily", "congress_trades", "fundamentals")
T0, T1 = datetime(2022, 1, 3, 14, tzinfo=UTC), datetime(2022, 1, 4, 14, tzinfo=UTC)


def never(view: Any, **params: Any) -> Targets:
    raise AssertionError("no test of this file evaluates anything")


def declared(**changes: Any) -> Strategy:
    given: dict[str, Any] = {
        "name": "mine",
        "run": never,
        "needs": ("bars_daily",),
        "rebalance": weekly("mon"),
        "lookback_sessions": 20,
        "params": {"top": Param(default=3, meaning="names held", low=1, high=10)},
        "description": "holds three names",
    }
    return Strategy(**given | changes)


def said(**changes: Any) -> dict[str, Any]:
    """The declaration of `mine` as its process sends it, with changes on top."""
    found: dict[str, Any] = plain(declared()) | changes
    return found


def wanted(**changes: Any) -> dict[str, Any]:
    """Targets as a process sends them: half in AAA, a quarter in BBB."""
    evidence = {
        "dataset": ["bars_daily"] * 2,
        "row_key": ["AAA@2022-01-03", "BBB@2022-01-03"],
        "symbol": ["AAA", "BBB"],
        "contribution": [2.0, 1.0],
    }
    return {
        "symbols": ["AAA", "BBB"],
        "weights": [0.5, 0.25],
        "scored": ["AAA", "BBB"],
        "scores": [2.0, 1.0],
        "evidence": evidence,
        "skipped": {"CCC": "no bars"},
    } | changes


def settings(folder: Path | str, **more: str) -> config.Settings:
    return config.load({"ALLOCD_STRATEGY_DIR": str(folder), **more}, env_file=None)


def test_a_declaration_comes_back_from_its_plain_form_as_it_was():
    full = declared(
        uses=("fundamentals",),
        rebalance=Rebalance(kind="monthly", on="first_mon"),
        params={
            "top": Param(default=3, meaning="names held", low=1, high=10),
            "tilt": Param(default=0.5, meaning="power of the score", low=0.0, high=2.0),
            "side": Param(default="both", meaning="which trades", choices=("both", "buys")),
            "excluded": Param(default="", meaning="names left out", pattern=NAMES, examples=("AAA; BBB",)),
            "since": Param(default="2020-01-01", meaning="first day", pattern=r"\d{4}-\d{2}-\d{2}"),
        },
        funds=("SPY",),
        shorts=True,
        long_only={"side": "buys"},
        reads_lots=True,
        target_volatility_frac=0.1,
        max_capital_frac=0.5,
    )
    assert strategy_of("mine", plain(full), never, DATASETS) == full


def test_what_is_declared_covers_every_field_of_a_strategy_but_its_function():
    assert set(Declared.model_fields) == {field.name for field in fields(Strategy)} - {"run"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "theirs"}, "the name must be that of the file"),
        ({"needs": ["bars_dialy"]}, "bars_dialy, which is no dataset"),
        ({"uses": ["bars_dialy"]}, "bars_dialy, which is no dataset"),
        ({"rebalance": {"kind": "weekly", "on": "sun"}}, "no such rebalance rule: weekly on 'sun'"),
        ({"rebalance": {"kind": "hourly", "on": ""}}, "rebalance.kind"),
        ({"lookback_sessions": -1}, "lookback_sessions"),
        ({"lookback_sessions": True}, "lookback_sessions"),
        ({"lookback_sessions": 10**9}, "lookback_sessions"),
        ({"max_capital_frac": float("nan")}, "max_capital_frac"),
        ({"max_capital_frac": 1.5}, "max_capital_frac"),
        ({"funds": ["not a symbol"]}, "funds.0"),
        ({"description": ""}, "description"),
        ({"surprise": 1}, "surprise"),
        ({"long_only": {"side": "buys"}}, "has no parameter 'side'"),
        ({"long_only": {"top": 99}}, "outside 1 to 10"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_refused_with_the_field(change, reason):
    with pytest.raises(BadAnswer, match=reason):
        strategy_of("mine", said(**change), never, DATASETS)


@pytest.mark.parametrize(
    ("param", "reason"),
    [
        (Param(default=3, meaning="n"), "top without finite bounds"),
        (Param(default=30, meaning="n", low=1, high=10), "outside 1 to 10"),
        (Param(default="x", meaning="n", pattern="(a+)+b"), "pattern of variable length"),
        (Param(default="x", meaning="n", pattern="a{2,}"), "pattern of variable length"),
        (Param(default="x", meaning="n", pattern="[a"), "pattern that is none"),
        (Param(default="", meaning="", pattern=NAMES), "params.top.meaning"),
    ],
)
def test_a_parameter_that_cannot_be_checked_safely_is_refused(param, reason):
    with pytest.raises(BadAnswer, match=reason):
        strategy_of("mine", plain(declared(params={"top": param})), never, DATASETS)


@pytest.mark.parametrize("rubbish", [None, 7, [], "x", {}])
def test_a_declaration_that_is_none_is_refused(rubbish):
    with pytest.raises(BadAnswer):
        strategy_of("mine", rubbish, never, DATASETS)


def test_targets_come_back_from_their_plain_form_to_the_last_bit():
    third = targets_of(declared(), wanted(weights=[1 / 3, 0.1 + 0.2], scores=[1e-17, 5e-324]))
    again = targets_of(declared(), plain_targets(third))
    assert again.weights.to_numpy().tobytes() == third.weights.to_numpy().tobytes()
    assert third.weights.to_dict() == {"AAA": 1 / 3, "BBB": 0.1 + 0.2}
    assert again.scores.to_dict() == {"AAA": 1e-17, "BBB": 5e-324}
    assert again.evidence.equals(third.evidence) and dict(again.skipped) == {"CCC": "no bars"}


def test_wanting_nothing_is_allowed():
    nothing = targets_of(declared(), plain_targets(no_targets({"AAA": "no bars"})))
    assert nothing.weights.empty and nothing.weights.dtype == "float64"
    assert list(nothing.evidence.columns) == ["dataset", "row_key", "symbol", "contribution"]


def evidence(**changes: Any) -> dict[str, Any]:
    return {"evidence": wanted()["evidence"] | changes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights": [0.5, float("nan")]}, "weights that are not finite"),
        ({"weights": [0.5, float("inf")]}, "weights that are not finite"),
        ({"weights": [0.5, 10**400]}, "weights that are not finite"),
        ({"weights": [0.5, True]}, "weights that are no numbers"),
        ({"weights": [0.5, "0.25"]}, "weights that are no numbers"),
        ({"weights": [0.5]}, "another number of weights"),
        ({"weights": [0.8, 0.3]}, "weights of 1.1 in all"),
        ({"weights": [0.5, -0.25]}, "negative weight without shorts"),
        ({"symbols": ["AAA", "AAA"]}, "one of them twice"),
        ({"symbols": ["AAA", 7]}, "symbols are no names"),
        ({"symbols": ["AAA", "B\ud800"]}, "symbols are no names"),
        ({"symbols": ["AAA", "B\0"]}, "symbols are no names"),
        ({"scored": ["BBB", "AAA"]}, "in another order"),
        ({"scores": [2.0]}, "in another order"),
        ({"evidence": None}, "evidence whose columns"),
        (evidence(row_key=["AAA@2022-01-03"]), "columns of different lengths"),
        (evidence(row_key=["AAA@2022-01-03", "B\0"]), "row_key is not text"),
        (evidence(symbol=["AAA", "AAA"]), "not of exactly the symbols"),
        (evidence(contribution=[2.0, float("nan")]), "contributions that are not finite"),
        ({"skipped": {"CCC": ""}}, "without a reason"),
        ({"skipped": {"AAA": "thin"}}, "both wants and skips AAA"),
    ],
)
def test_targets_that_break_a_rule_are_refused_with_the_rule(change, reason):
    with pytest.raises(BadAnswer, match=reason):
        targets_of(declared(), wanted(**change))


def test_a_strategy_that_declares_shorts_may_want_negative_weights():
    assert targets_of(declared(shorts=True), wanted(weights=[0.5, -0.5])).weights.to_dict() == {"AAA": 0.5, "BBB": -0.5}


def test_too_much_evidence_is_refused():
    many = {"dataset": ["bars_daily"] * 20_001, "row_key": ["k"] * 20_001, "symbol": ["AAA"] * 20_001, "contribution": [1.0] * 20_001}
    with pytest.raises(BadAnswer, match="more than 20,000 rows of evidence"):
        targets_of(declared(), wanted(evidence=many, symbols=["AAA"], weights=[0.5], scored=["AAA"], scores=[1.0]))


def test_what_is_said_of_a_failure_can_be_recorded():
    text = str(Failed("NUL \0, half a character \ud800, and " + "x" * 1_000))
    assert text.encode() and "\0" not in text and len(text) == 500


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A = 1", "must declare a STRATEGY"),
        ("STRATEGY = 7", "must declare a STRATEGY"),
        (
            "from strategies.base import *\nSTRATEGY = Strategy(name='b', run=None, needs=(), rebalance=daily(), lookback_sessions=1, "
            "params={}, description='d')",
            "is named 'b'; the name must be that of the file, 'a'",
        ),
    ],
)
def test_a_file_without_a_strategy_of_its_own_name_is_not_loaded(text, reason):
    with pytest.raises(Exception, match=reason):
        load("a", "/nowhere/a.py", text.encode())


def test_all_own_strategies_of_a_session_share_one_budget_and_the_next_session_has_its_own():
    budget = Budget(30.0)
    budget.spend(T0, 5.0)
    assert budget.left(T0) == 30.0, "nothing was granted before"
    budget.spend(T0, 12.0)
    budget.spend(T0, 8.0)
    assert budget.left(T0) == 10.0
    assert budget.left(T1) == 30.0
    budget.spend(T0, 30.0)
    assert budget.left(T1) == 30.0, "what an older session used is not charged to this one"


def test_a_folder_that_is_not_there_is_left_out_with_its_name(tmp_path):
    found = find(tmp_path / "nowhere", 10.0)
    assert found.own == {}
    (refusal,) = found.refused
    assert refusal.name == "" and str(tmp_path / "nowhere") in str(refusal) and "No such file" in str(refusal)


def test_files_that_cannot_be_strategies_are_left_out_before_any_process_is_started(tmp_path):
    for name in ("congress_aggregate.py", "Upper.py", "1st.py", "a-b.py"):
        (tmp_path / name).write_text("raise AssertionError('was run')")
    (tmp_path / "long.py").write_bytes(b"#" * (MOST_SOURCE_BYTES + 1))
    (tmp_path / "folder.py").mkdir()
    for name in ("_part.py", ".hidden.py", "notes.txt", "mine.py~"):
        (tmp_path / name).write_text("raise AssertionError('was run')")
    reasons = {refused.path.name: refused.reason for refused in find(tmp_path, 10.0).refused}
    assert set(reasons) == {"congress_aggregate.py", "Upper.py", "1st.py", "a-b.py", "long.py", "folder.py"}
    assert "in the catalog" in reasons["congress_aggregate.py"]
    assert all("lower case" in reasons[name] for name in ("Upper.py", "1st.py", "a-b.py"))
    assert "longer than" in reasons["long.py"] and "cannot be read" in reasons["folder.py"]


def test_without_a_folder_the_catalog_is_all_there_is():
    chosen = config.load({}, env_file=None)
    assert compose.catalog(chosen) == dict(CATALOG) and compose.own(chosen).refused == ()


def test_the_folder_is_relative_to_the_checkout_unless_it_is_absolute(tmp_path):
    assert settings(tmp_path).strategy_dir == str(tmp_path)
    assert settings("mine").strategy_dir == str(config.CHECKOUT / "mine")
    assert config.load({}, env_file=None).strategy_dir == ""


def test_a_name_that_only_a_missing_folder_could_hold_refuses_the_start_and_names_the_folder(tmp_path):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(StartRefused, match=f"names 'mine', which cannot be used; {nowhere}"):
        compose.enabled(settings(nowhere, ALLOCD_STRATEGIES="mine"))
    assert set(compose.enabled(settings(nowhere))[0]) == set(CATALOG), "without the name the catalog runs"


def test_an_own_environment_holds_no_secret_and_nothing_else_of_the_daemon(monkeypatch):
    for name in ("ALPACA_API_SECRET", "PG_URI", "CREDENTIALS_DIRECTORY", "HOME", "PYTHONPATH", "ALLOCD_STATE_DIR", "HF_TOKEN"):
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("PATH", "/usr/bin")
    bare = config.bare_environment({"A": "b"})
    assert bare["PATH"] == "/usr/bin" and bare["A"] == "b" and bare["OMP_NUM_THREADS"] == "1"
    assert "hush" not in bare.values()

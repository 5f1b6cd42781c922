"""An explanation as text for people: the same chain as the JSON form, from the trade down to its evidence."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MOST_EVIDENCE = 12
"""Evidence rows shown for one sleeve; the JSON form has all of them."""


def render(explanation: Mapping[str, Any]) -> "RenderableType":
    """An explanation as `explain` gives it, for a terminal. Nothing in it is read as markup."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_headline(explanation), style="bold")]
    parts += [Text(line) for line in _trade(explanation)]
    if explanation["cycle"] is not None:
        parts += [Text(line) for line in _cycle(explanation)]
    for sleeve in explanation["sleeves"]:
        parts += [Text(""), Text(sleeve["sleeve"], style="bold"), *(Text(f"  {line}") for line in _sleeve(sleeve))]
        if sleeve["evidence"]:
            parts.append(_evidence(sleeve))
    if explanation["order"] is None and explanation["cross"] is None:
        parts += [Text(line) for line in _movements(explanation["movements"])]
    return Group(*parts)


def _headline(told: Mapping[str, Any]) -> str:
    position = told["position"]
    when = f" at {told['at']}" if told["at"] else ""
    if not position["by_sleeve"]:
        return f"{told['symbol']}: nothing held{when}"
    held = ", ".join(f"{name} {_qty(qty)}" for name, qty in position["by_sleeve"].items())
    return f"{told['symbol']}: {_qty(position['qty'])} shares held{when} ({held})"


def _trade(told: Mapping[str, Any]) -> Iterable[str]:
    order, cross = told["order"], told["cross"]
    if order is not None:
        what = f"{order['side']} {_qty(order['qty'])} {order['type']}, {order['status']}"
        yield f"Order {order['client_order_id']} of {_moment(order['intended_at'])}: {what}"
        if order["reason"]:
            yield f"  {order['reason']}"
        yield f"  {_fill_line(order)}"
        yield from _shares(order["shares"])
    elif cross is not None:
        booked = f"at {_usd(cross['price'])}" if cross["price"] else "waits for the official open"
        yield f"Cross between sleeves in session {cross['session']}, nothing sent to the market: {booked}"
        yield from _shares(cross["shares"])
    else:
        yield "Never traded by a decision"


def _fill_line(order: Mapping[str, Any]) -> str:
    decided = f"decided at {_usd(order['decision_price'])}"
    if order["filled_avg_price"] is None:
        return f"{decided}, nothing filled"
    slip = "" if order["slippage_bps"] is None else f", slippage {order['slippage_bps']:+.1f} bps"
    count = len(order["fills"])
    return (
        f"{decided}, filled {_qty(order['filled_qty'])} at {_usd(order['filled_avg_price'])} in {count} execution{'s' * (count != 1)}{slip}"
    )


def _shares(shares: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for share in shares:
        crossed = f", of it {_qty(share['crossed'])} crossed with other sleeves" if Decimal(share["crossed"]) else ""
        yield f"  {share['sleeve']}: {Decimal(share['qty']):+,f}{crossed}"


def _cycle(told: Mapping[str, Any]) -> Iterable[str]:
    cycle = told["cycle"]
    yield f"Cycle {cycle['cycle_id']} at {_moment(cycle['at'])} acted because {cycle['reason']}"
    if cycle["rung"] is not None:
        yield (
            f"  NAV {_usd(cycle['nav_usd'])}, allocation rung {cycle['rung']}, gross {cycle['gross']:.1%}, "
            f"VaR95 {cycle['var95']:.2%} and CVaR95 {cycle['cvar95']:.2%} of NAV a day"
        )
    if cycle["rung_reason"]:
        yield f"  {cycle['rung_reason']}"
    if told["symbol"] in cycle["blocked"]:
        yield "  The symbol was blocked: a reconciliation break or a working order"
    for bound in told["bound"]:
        yield f"  Limit {bound['limit']} on {bound['subject']}: {_percent(bound['before'])} cut to {_percent(bound['after'])}"
    if told["latest"] is not None:
        weights = ", ".join(f"{name} {_percent(w)}" for name, w in told["latest"]["weights"].items())
        yield f"  Still wanted in session {told['latest']['session']}: {weights} of NAV"


def _sleeve(sleeve: Mapping[str, Any]) -> Iterable[str]:
    yield f"{_percent(sleeve['weight_frac'])} of NAV after caps; {_qty(sleeve['held_before'])} shares held before"
    if sleeve["retired"]:
        yield "retired: its positions are wound down"
    elif sleeve["capital"] is not None:
        yield (
            f"capital {_percent(sleeve['capital'])} of NAV, risk budget {_percent(sleeve['budgets'])}, "
            f"view {_percent(sleeve['views'])} and posterior {_percent(sleeve['posterior'])} a year"
        )
    if sleeve["excluded"]:
        yield f"not optimised: {sleeve['excluded']}"
    if sleeve["stayed"]:
        yield f"kept its earlier targets: {sleeve['stayed']}"
    yield from _target(sleeve["target"])
    if sleeve["shadow_weight"]:
        yield f"its shadow book had {_percent(sleeve['shadow_weight'])} before"


def _target(target: Mapping[str, Any]) -> Iterable[str]:
    if target["at"] is not None:
        when = "in this cycle" if target["evaluated_now"] else f"for session {target['due_session']}"
        yield f"evaluated {when}, on what was known at {_moment(target['at'])}"
    if target["weight"] is not None:
        score = "" if target["score"] is None else f", score {target['score']:.6g}"
        yield f"wanted {_percent(target['weight'])} of the sleeve{score}"
    if target["note"]:
        yield target["note"]


def _evidence(sleeve: Mapping[str, Any]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    items, summed = sleeve["evidence"], sleeve["evidence_sum"]
    agrees = "which is the score" if summed["matches"] else f"but the score is {summed['score']:.6g}"
    table = Table(box=None, pad_edge=True, caption=f"contributions sum to {summed['sum']:.6g}, {agrees}", caption_justify="left")
    for heading in ("contribution", "who", "what", "amount", "happened", "known", "lag, days", "source"):
        table.add_column(heading, justify="right" if heading in ("contribution", "lag, days") else "left", overflow="fold")
    for item in items[:MOST_EVIDENCE]:
        table.add_row(*(Text(cell) for cell in _cells(item)))
    if len(items) > MOST_EVIDENCE:
        rest = sum(i["contribution"] for i in items[MOST_EVIDENCE:])
        table.add_row(f"{rest:+.6g}", Text(f"{len(items) - MOST_EVIDENCE} further rows, see --json"))
    return table


def _cells(item: Mapping[str, Any]) -> list[str]:
    contribution = f"{item['contribution']:+.6g}"
    if not item["found"]:
        return [contribution, item["dataset"], f"{item['row_key']} is not stored any more"]
    known = _moment(item["known_at"]) + ("" if item["known_in_time"] else " (after the decision)")
    known += f" (revised {_moment(item['revised_at'])})" if item["revised_at"] else ""
    told = [str(item[name] or "") for name in ("who", "what", "amount")]
    return [contribution, *told, _moment(item["event_at"]), known, f"{item['lag_days']:.1f}", item["source_url"]]


def _movements(movements: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for move in movements:
        yield f"  {_moment(move['at'])} {move['kind']} {move['sleeve']} {_qty(move['qty'])} {move['memo']}"


def _moment(iso: str) -> str:
    return iso[:16].replace("T", " ")


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.2%}"


def _qty(text: str) -> str:
    return f"{Decimal(text):,f}"


def _usd(text: str) -> str:
    return f"{Decimal(text):,.2f} USD"

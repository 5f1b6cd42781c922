"""Who owns what inside the one account: a double-entry ledger of sleeves that always sums to the account.

Pure and in memory. The daemon persists every Transaction and folds them back into a Ledger at start. Amounts are signed: plus is more of
the unit in that account. Every transaction sums to zero in each unit. Nothing is rounded: arithmetic that would lose a digit raises.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation

from execution.base import CashActivity, Fill
from execution.errors import LedgerError

CASH = "$"
"""The unit of money. Not "USD": that is also the ticker of a fund."""
TREASURY = "treasury"
SUSPENSE = "suspense"
COUNTERPARTIES = frozenset({"market", "income", "fees", "equity", "corporate"})
ZERO = Decimal(0)
_SLEEVE = "sleeve:"
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
_UNITS = 10**9  # quantities and shared cash are split to 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change of one account in one unit. `account` is `sleeve:<name>` or a counterparty; `unit` is CASH or a symbol."""

    account: str
    unit: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Entries that belong together. `id` is the key that makes booking idempotent; `at` is aware."""

    id: str
    kind: str
    at: datetime
    entries: tuple[Entry, ...]
    memo: str = ""


class Ledger:
    """The balances after all transactions applied so far."""

    def __init__(self, transactions: Iterable[Transaction] = ()) -> None:
        """Fold stored transactions, in order, into balances."""
        self._applied: set[str] = set()
        self._balances: dict[str, dict[str, Decimal]] = {}
        self._account: dict[str, Decimal] = {}
        for transaction in transactions:
            self.apply(transaction)

    def apply(self, transaction: Transaction) -> bool:
        """Book a transaction; False when that id is booked already (the first version stands). Raises LedgerError, changing nothing."""
        if transaction.id in self._applied:
            return False
        _verify(transaction)
        for entry in transaction.entries:
            _add(self._balances.setdefault(entry.account, {}), entry.unit, entry.amount)
            if entry.account.startswith(_SLEEVE):
                _add(self._account, entry.unit, entry.amount)
        self._applied.add(transaction.id)
        return True

    def applied(self, transaction_id: str) -> bool:
        """True when a transaction with that id is booked."""
        return transaction_id in self._applied

    def sleeves(self) -> tuple[str, ...]:
        """Names of all sleeves that ever had an entry, sorted."""
        return tuple(sorted(account.removeprefix(_SLEEVE) for account in self._balances if account.startswith(_SLEEVE)))

    def cash(self, sleeve: str) -> Decimal:
        """A sleeve's USD; zero for a sleeve that never had any."""
        return self._balances.get(_SLEEVE + sleeve, {}).get(CASH, ZERO)

    def positions(self, sleeve: str) -> dict[str, Decimal]:
        """A sleeve's signed shares by symbol, without zeros."""
        return _holdings(self._balances.get(_SLEEVE + sleeve, {}))

    def holders(self, symbol: str) -> dict[str, Decimal]:
        """Signed shares of a symbol by sleeve, without zeros: who is due a dividend."""
        held = ((name, self._balances[_SLEEVE + name].get(symbol, ZERO)) for name in self.sleeves())
        return {name: qty for name, qty in held if qty}

    def account_cash(self) -> Decimal:
        """USD of all sleeves together: what the broker should report."""
        return self._account.get(CASH, ZERO)

    def account_positions(self) -> dict[str, Decimal]:
        """Signed shares of all sleeves together, without zeros: what the broker should report."""
        return _holdings(self._account)

    def counterparty(self, name: str) -> dict[str, Decimal]:
        """Balances by unit of market, income, fees, equity or corporate: the other side of everything the sleeves have."""
        return {unit: amount for unit, amount in self._balances.get(name, {}).items() if amount}

    def nav(self, prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """USD value by sleeve at `prices`. Raises LedgerError for a holding without a price."""
        return {name: self._value(name, prices) for name in self.sleeves()}

    def _value(self, sleeve: str, prices: Mapping[str, Decimal]) -> Decimal:
        value = self.cash(sleeve)
        for symbol, qty in self.positions(sleeve).items():
            if symbol not in prices:
                raise LedgerError(f"{sleeve} holds {symbol}, which has no price")
            value += qty * prices[symbol]
        return value

    def check(self) -> list[str]:
        """Every invariant that does not hold, as a sentence; empty when the books are right."""
        sleeves = _summed(balances for account, balances in self._balances.items() if account.startswith(_SLEEVE))
        others = _summed(balances for account, balances in self._balances.items() if not account.startswith(_SLEEVE))
        totals = _summed((sleeves, others))
        problems = [f"all accounts together hold {amount} {unit}, not zero" for unit, amount in sorted(totals.items()) if amount]
        for unit in sorted(sleeves.keys() | self._account.keys()):
            ours, account_total = sleeves.get(unit, ZERO), self._account.get(unit, ZERO)
            if ours != account_total:
                problems.append(f"sleeves sum to {ours} {unit}, the account has {account_total}")
        return problems


def deposit(key: str, amount: Decimal, at: datetime, *, memo: str = "") -> Transaction:
    """Money from outside into the treasury; a negative amount is a withdrawal."""
    return _two_sided(key, "deposit" if amount >= 0 else "withdrawal", at, _SLEEVE + TREASURY, "equity", CASH, amount, memo)


def transfer(
    key: str, sleeve: str, amount: Decimal, at: datetime, *, source: str = TREASURY, unit: str = CASH, memo: str = ""
) -> Transaction:
    """Cash (or shares of `unit`) from `source` to `sleeve`; a negative amount goes back."""
    return _two_sided(key, "transfer", at, _SLEEVE + sleeve, _SLEEVE + source, unit, amount, memo)


def fee(key: str, amount: Decimal, at: datetime, *, sleeve: str = TREASURY, memo: str = "") -> Transaction:
    """A broker's charge; `amount` is signed cash, so a charge is negative."""
    return _two_sided(key, "fee", at, _SLEEVE + sleeve, "fees", CASH, amount, memo)


def interest(key: str, amount: Decimal, at: datetime, *, sleeve: str = TREASURY, memo: str = "") -> Transaction:
    """Interest on cash; `amount` is signed, so margin interest is negative."""
    return _two_sided(key, "interest", at, _SLEEVE + sleeve, "income", CASH, amount, memo)


def adopt(key: str, symbol: str, qty: Decimal, at: datetime, *, memo: str = "") -> Transaction:
    """Shares found in the account that no fill of ours explains, into suspense. CASH as symbol adopts cash."""
    return _two_sided(key, "adopt", at, _SLEEVE + SUSPENSE, "equity", symbol, qty, memo)


def dividend(key: str, symbol: str, net_amount: Decimal, holders: Mapping[str, Decimal], at: datetime) -> Transaction:
    """A dividend (negative: paid on a short) to those who held the symbol, in proportion to signed shares.

    Split to 1e-9 USD (or to the amount's own last digit) by largest remainder.
    Without a holder (or with a net holding of zero) it goes to suspense.
    """
    return _shared(key, "dividend", at, "income", {CASH: net_amount}, holders, memo=symbol)


def split(key: str, symbol: str, qty_change: Decimal, holders: Mapping[str, Decimal], at: datetime) -> Transaction:
    """A split: the account's change of shares, to the holders in proportion, exact to 1e-9 share by largest remainder."""
    return _shared(key, "split", at, "corporate", {symbol: qty_change}, holders, memo=symbol)


def reorganization(
    key: str, symbol: str, qty_change: Decimal, net_amount: Decimal, holders: Mapping[str, Decimal], at: datetime
) -> Transaction:
    """A cash-out, as at a delisting: shares go (`qty_change` negative for longs) and cash comes, both in proportion to holdings."""
    return _shared(key, "reorganization", at, "corporate", {symbol: qty_change, CASH: net_amount}, holders, memo=symbol)


def activity_transaction(activity: CashActivity, holders: Mapping[str, Decimal]) -> Transaction:
    """Book the broker's non-trade activity; `holders` are the signed shares of its symbol by sleeve just before it.

    An activity of a kind that is not known goes to suspense, cash and shares alike, so that the account stays matched.
    """
    key, kind = f"activity:{activity.id}", activity.kind.upper()
    if kind.startswith("DIV"):
        return dividend(key, activity.symbol, activity.net_amount, holders, activity.at)
    if kind in ("SPLIT", "SSP", "SSO"):
        return split(key, activity.symbol, activity.qty, holders, activity.at)
    if kind in ("REORG", "MA"):
        return reorganization(key, activity.symbol, activity.qty, activity.net_amount, holders, activity.at)
    if kind in ("CSD", "CSW", "JNLC", "TRANS", "ACATC"):
        return deposit(key, activity.net_amount, activity.at, memo=kind)
    if kind in ("FEE", "CFEE", "PTC"):
        return fee(key, activity.net_amount, activity.at, memo=kind)
    if kind.startswith("INT"):
        return interest(key, activity.net_amount, activity.at, memo=kind)
    amounts = {CASH: activity.net_amount} | ({activity.symbol: activity.qty} if activity.symbol else {})
    return _shared(key, "unclassified", activity.at, "equity", amounts, {}, memo=f"{kind} {activity.symbol}".strip())


def market_shares(shares: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """How much of a net order each sleeve on its side gets from the market, positive, summing to the order's quantity.

    `shares` are the signed trades of all sleeves, the crossing side included. Sleeves on the order's side take the market's part in
    proportion to what they want (largest remainder at 1e-9 share, ties to the first name); the rest of it comes from the crossing.
    """
    return {name: _from_units(amount) for name, amount in _market_units(shares)[1].items()}


def fill_transaction(shares: Mapping[str, Decimal], fill: Fill, filled_before: Decimal) -> Transaction:
    """Split one execution over the sleeves of its order.

    `shares` are the order's signed trades by sleeve, `filled_before` the quantity of its executions booked earlier. Rounding is
    cumulative: after every execution each sleeve has its largest-remainder share of all that is filled so far, within 1e-9 share of
    exact proportion, and a completed order gives every sleeve exactly its part. Cash is quantity times price, unrounded.
    Raises LedgerError when the execution's side is not the order's or it fills more than was ordered.
    """
    net, wanted = _market_units(shares)
    sign = 1 if net > 0 else -1
    if not net or (fill.side == "buy") != (net > 0):
        raise LedgerError(f"fill {fill.id}: {fill.side} {fill.symbol} does not fit a net trade of {_from_units(net)}")
    done, now = _to_units(filled_before), _to_units(filled_before) + _to_units(fill.qty)
    if not 0 <= done < now <= abs(net):
        raise LedgerError(f"fill {fill.id}: {filled_before} + {fill.qty} {fill.symbol} exceeds the order's {_from_units(abs(net))}")
    before, after = _apportion(done, wanted), _apportion(now, wanted)
    signed = {name: _from_units((after[name] - before[name]) * sign) for name in wanted}
    return _trade(f"fill:{fill.id}", "fill", fill.symbol, signed, fill.price, fill.at, memo=fill.order_id)


def cross_transaction(key: str, symbol: str, shares: Mapping[str, Decimal], price: Decimal, at: datetime) -> Transaction | None:
    """Book what sleeves trade with each other inside a net order, or in a pure cross; None when nothing crosses.

    `shares` are the signed trades of all sleeves; `price` is the order's volume-weighted fill price, or the official open when nothing
    was filled or sent. To be booked once, when the order is final. A crossing completes in full even if the order was filled in part or
    not at all: both sides of it are in the account, and only the market's part depends on the market.
    """
    net, from_market = _market_units(shares)
    sign = 1 if net > 0 else -1
    crossed = {name: _from_units(_to_units(qty) - sign * from_market.get(name, 0)) for name, qty in sorted(shares.items())}
    if not any(crossed.values()):
        return None
    return _trade(key, "cross", symbol, crossed, price, at, memo="")


def _market_units(shares: Mapping[str, Decimal]) -> tuple[int, dict[str, int]]:
    """The signed net of a trade, and the positive part of it that each sleeve on its side gets from the market, in 1e-9 share."""
    units = {name: _to_units(qty) for name, qty in sorted(shares.items())}
    net = sum(units.values())
    wanted = {name: abs(amount) for name, amount in units.items() if amount * net > 0}
    return net, _apportion(abs(net), wanted)


def _trade(key: str, kind: str, symbol: str, signed: Mapping[str, Decimal], price: Decimal, at: datetime, memo: str) -> Transaction:
    """Shares in, cash out (or the reverse) for each sleeve at one price; the market takes the other side of what does not cancel."""
    entries: list[Entry] = []
    shares = cash = ZERO
    for name, qty in signed.items():
        if not qty:
            continue
        cost = _EXACT.multiply(qty, price)
        shares, cash = _EXACT.add(shares, qty), _EXACT.subtract(cash, cost)
        entries.append(Entry(account=_SLEEVE + name, unit=symbol, amount=qty))
        entries.append(Entry(account=_SLEEVE + name, unit=CASH, amount=cost.copy_negate()))
    if shares:
        entries.append(Entry(account="market", unit=symbol, amount=shares.copy_negate()))
    if cash:
        entries.append(Entry(account="market", unit=CASH, amount=cash.copy_negate()))
    return Transaction(id=key, kind=kind, at=at, entries=tuple(entries), memo=memo)


def _two_sided(key: str, kind: str, at: datetime, to: str, source: str, unit: str, amount: Decimal, memo: str) -> Transaction:
    entries = (Entry(account=to, unit=unit, amount=amount), Entry(account=source, unit=unit, amount=amount.copy_negate())) if amount else ()
    return Transaction(id=key, kind=kind, at=at, entries=entries, memo=memo)


def _shared(
    key: str, kind: str, at: datetime, counterparty: str, amounts: Mapping[str, Decimal], holders: Mapping[str, Decimal], memo: str
) -> Transaction:
    """Give the holders their part of each amount; to suspense when nobody holds."""
    weights = {name: _to_units(qty) for name, qty in sorted(holders.items()) if qty}
    if sum(weights.values()) == 0:
        weights = {SUSPENSE: 1}
    entries: list[Entry] = []
    for unit, amount in amounts.items():
        places = _places(amount)
        parts = _apportion(int(amount.scaleb(places, _EXACT)), weights)
        entries.extend(
            Entry(account=_SLEEVE + name, unit=unit, amount=Decimal(part).scaleb(-places, _EXACT)) for name, part in parts.items() if part
        )
        if amount:
            entries.append(Entry(account=counterparty, unit=unit, amount=amount.copy_negate()))
    return Transaction(id=key, kind=kind, at=at, entries=tuple(entries), memo=memo)


def _places(amount: Decimal) -> int:
    """Decimals to which an amount is split: nine, or its own when it has more (a cash-out is quantity times price)."""
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        raise LedgerError(f"{amount} is not an amount")
    return max(9, -exponent)


def _apportion(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Split an integer in proportion to signed integer weights: largest remainder, ties to the first name. Sums to `total`."""
    whole = sum(weights.values())
    if whole == total or whole == 0:
        return dict(weights) if whole else dict.fromkeys(weights, 0)
    parts = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(parts.values())
    if left:
        by_remainder = sorted(parts, key=lambda name: abs(total * weights[name] % whole), reverse=True)
        for name in by_remainder[:left]:
            parts[name] += 1
    return parts


def _verify(transaction: Transaction) -> None:
    """Raise LedgerError unless every account is known and every unit sums to zero."""
    if transaction.at.tzinfo is None:
        raise LedgerError(f"{transaction.id}: its time has no zone")
    sums: dict[str, Decimal] = {}
    for entry in transaction.entries:
        if not (entry.account.startswith(_SLEEVE) or entry.account in COUNTERPARTIES):
            raise LedgerError(f"{transaction.id}: there is no account {entry.account!r}")
        if not entry.amount.is_finite():
            raise LedgerError(f"{transaction.id}: {entry.amount} {entry.unit} is not an amount")
        _add(sums, entry.unit, entry.amount)
    off: Sequence[str] = [f"{amount} {unit}" for unit, amount in sums.items() if amount]
    if off:
        raise LedgerError(f"{transaction.id}: entries do not balance: {', '.join(off)}")


def _add(balances: dict[str, Decimal], unit: str, amount: Decimal) -> None:
    try:
        balances[unit] = _EXACT.add(balances[unit], amount) if unit in balances else _EXACT.plus(amount)
    except Inexact:
        raise LedgerError(f"{amount} {unit} cannot be added without rounding") from None


def _summed(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Balances added up by unit, exactly."""
    sums: dict[str, Decimal] = {}
    for balances in parts:
        for unit, amount in balances.items():
            _add(sums, unit, amount)
    return sums


def _holdings(balances: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {unit: amount for unit, amount in sorted(balances.items()) if amount and unit != CASH}


def _to_units(amount: Decimal) -> int:
    scaled = _EXACT.multiply(amount, Decimal(_UNITS))
    units = int(scaled)
    if units != scaled:
        raise LedgerError(f"{amount} is finer than 1e-9")
    return units


def _from_units(units: int) -> Decimal:
    return _EXACT.divide(Decimal(units), Decimal(_UNITS))

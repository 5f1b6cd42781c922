"""Form 4: what an `ownershipDocument` says, read from its XML or from the full text of the submission that holds it."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from scrapers import cells, edgar, insiders, markup, tables, times
from scrapers.base import Reject
from scrapers.errors import SourceChanged
from scrapers.records import Unusable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMS = ("4", "4/A")
_HEADER = re.compile(r"<ACCEPTANCE-DATETIME>\s*(?P<accepted>\d{14})")
_NUMBER = re.compile(r"ACCESSION NUMBER:\s*(?P<accession>[\d-]{18,20})")
_FILED = re.compile(r"FILED AS OF DATE:\s*(?P<filed>\d{8})")
_XML = re.compile(r"<XML>\s*(?P<body>.*?)</XML>", re.DOTALL | re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>\s*")
"""It names the encoding that the text has been read from, in which it is no longer."""
_TRUE, _FALSE = {"1", "true", "y", "yes"}, {"0", "false", "n", "no"}


class NoDocument(SourceChanged):
    """A submission that cannot be read as a Form 4; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One transaction as reported. number: from 1 over both tables of the document, counting those that could not be read."""

    number: int
    derivative: bool
    title: str
    underlying: str
    day: date
    code: str
    acquired_disposed: str
    shares: float
    price_usd: float | None
    shares_after: float | None
    ownership: str
    footnoted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One reporting person and what they are to the company."""

    cik: str
    name: str
    is_director: bool
    is_officer: bool
    is_ten_percent_owner: bool
    is_other: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form4:
    """One report.

    mark: its accession number, or for bare XML without one what makes it recognisable: issuer, owner, period and a digest.
    accepted_at and filed come from the submission's header, None without one. original_filed: when that which it amends was filed.
    """

    accession: str
    mark: str
    amendment: bool
    period: date | None
    issuer_cik: str
    issuer_name: str
    symbol_text: str
    owners: tuple[Owner, ...]
    is_10b5_1: bool | None
    lines: tuple[Line, ...]
    rejects: tuple[Reject, ...] = ()
    original_filed: date | None = None
    signed: date | None = None
    accepted_at: datetime | None = None
    filed: date | None = None
    url: str = ""

    def owned_by(self) -> frozenset[str]:
        """CIKs of its owners."""
        return frozenset(owner.cik for owner in self.owners)


@dataclass(slots=True, kw_only=True)
class _Lines:
    read: list[Line] = field(default_factory=list)
    refused: list[Reject] = field(default_factory=list)


def parse_submission(text: str, name: str) -> Form4:
    """The report in the full text of a submission. NoDocument when there is none, or no header with number and time of acceptance."""
    head, _, _ = text.partition("<DOCUMENT>")
    accepted, number, filed = _HEADER.search(head), _NUMBER.search(head), _FILED.search(head)
    at = edgar.header_instant(accepted["accepted"]) if accepted else None
    accession = edgar.accession_of(number["accession"]) if number else None
    if at is None or accession is None:
        raise NoDocument(f"{name}: no submission header with acceptance time and accession number")
    bodies = [found["body"] for found in _XML.finditer(text) if "<ownershipDocument" in found["body"]]
    if len(bodies) != 1:
        raise NoDocument(f"{name}: {len(bodies)} ownership documents in the submission")
    day = times.parse_date(filed["filed"]) if filed else None
    body = _DECLARATION.sub("", bodies[0])
    return parse_xml(body.encode("utf-8", "replace"), name, accession=accession, accepted_at=at, filed=day)


def parse_xml(content: bytes, name: str, *, accession: str = "", accepted_at: datetime | None = None, filed: date | None = None) -> Form4:
    """The report of an `ownershipDocument`. NoDocument for another document, another form, or one without issuer or owner."""
    try:
        root = markup.xml_of(content, name)
    except SourceChanged as error:
        raise NoDocument(str(error)) from error
    form = _text(root, "documentType")
    if root.tag != "ownershipDocument" or form not in FORMS:
        raise NoDocument(f"{name}: an ownershipDocument of type 4 or 4/A was expected, found <{root.tag[:50]}> of type {form[:20]!r}")
    issuer, owners = edgar.cik_of(_text(root, "issuer/issuerCik")), tuple(_owners(root))
    if issuer is None or not owners:
        raise NoDocument(f"{name}: no issuer or no reporting owner with a CIK")
    lines = _transactions(root, accession or name, filed)
    period = times.parse_date(_text(root, "periodOfReport"))
    return Form4(
        accession=accession,
        mark=accession or f"{issuer}-{owners[0].cik}-{period}-{hashlib.sha256(content).hexdigest()[:12]}",
        amendment=form == "4/A",
        period=period,
        issuer_cik=str(issuer),
        issuer_name=_text(root, "issuer/issuerName"),
        symbol_text=_text(root, "issuer/issuerTradingSymbol"),
        owners=owners,
        is_10b5_1=_flag(root, "aff10b5One"),
        lines=tuple(lines.read),
        rejects=tuple(lines.refused),
        original_filed=times.parse_date(_text(root, "dateOfOriginalSubmission")),
        signed=max((day for day in map(times.parse_date, _texts(root, "ownerSignature/signatureDate")) if day), default=None),
        accepted_at=accepted_at,
        filed=filed,
        url=edgar.submission_url(issuer, accession) if accession else "",
    )


def _owners(root: "Element") -> Iterator[Owner]:
    for element in root.findall("reportingOwner"):
        cik = edgar.cik_of(_text(element, "reportingOwnerId/rptOwnerCik"))
        is_a = "reportingOwnerRelationship/"
        if cik is not None:
            yield Owner(
                cik=str(cik),
                name=_text(element, "reportingOwnerId/rptOwnerName"),
                is_director=bool(_flag(element, f"{is_a}isDirector")),
                is_officer=bool(_flag(element, f"{is_a}isOfficer")),
                is_ten_percent_owner=bool(_flag(element, f"{is_a}isTenPercentOwner")),
                is_other=bool(_flag(element, f"{is_a}isOther")),
                title=_text(element, f"{is_a}officerTitle"),
            )


def _transactions(root: "Element", name: str, filed: date | None) -> _Lines:
    lines, number = _Lines(), 0
    for kind, derivative in (("nonDerivative", False), ("derivative", True)):
        for element in root.findall(f"{kind}Table/{kind}Transaction"):
            number += 1
            try:
                lines.read.append(_line(element, number, derivative, filed))
            except Unusable as refused:
                lines.refused.append(tables.reject(refused.reason, str(refused), _plain(element), f"{name}:{number}"))
    return lines


def _line(element: "Element", number: int, derivative: bool, filed: date | None) -> Line:
    day = times.parse_date(_text(element, "transactionDate/value"))
    if day is None:
        raise Unusable("bad_date", f"transaction date {_text(element, 'transactionDate/value')!r}")
    if filed is not None and day > filed:
        raise Unusable("traded_after_filing", f"traded {day}, filed {filed}")
    amounts = "transactionAmounts/transaction"
    way, code = _text(element, f"{amounts}AcquiredDisposedCode/value"), _text(element, "transactionCoding/transactionCode")
    if way not in ("A", "D") or not re.fullmatch(r"[A-Z]", code):
        raise Unusable("bad_code", f"transaction code {code!r}, acquired or disposed {way!r}")
    shares = _number(element, f"{amounts}Shares/value")
    if shares is None:
        raise Unusable("no_shares", "the number of shares is empty")
    ownership = _text(element, "ownershipNature/directOrIndirectOwnership/value")
    if ownership not in ("D", "I", ""):
        raise Unusable("bad_code", f"ownership {ownership!r}")
    return Line(
        number=number,
        derivative=derivative,
        title=_text(element, "securityTitle/value"),
        underlying=_text(element, "underlyingSecurity/underlyingSecurityTitle/value"),
        day=day,
        code=code,
        acquired_disposed=way,
        shares=shares,
        price_usd=_number(element, f"{amounts}PricePerShare/value"),
        shares_after=_number(element, "postTransactionAmounts/sharesOwnedFollowingTransaction/value"),
        ownership=ownership,
        footnoted=element.find(".//footnoteId") is not None,
    )


def _text(element: "Element", path: str) -> str:
    return cells.text(element.findtext(path))


def _texts(element: "Element", path: str) -> list[str]:
    return [cells.text(found.text) for found in element.findall(path)]


def _flag(element: "Element", path: str) -> bool | None:
    """`1`, `true`, `0` or `false`; None when it is missing or anything else."""
    word = _text(element, path).lower()
    return True if word in _TRUE else False if word in _FALSE else None


def _number(element: "Element", path: str) -> float | None:
    """A number that is not negative; None where the element is missing or empty, Unusable for anything else in it."""
    text = _text(element, path)
    value = cells.number(text)
    if (value is None or value < 0) and text:
        raise Unusable("bad_number", f"{path} {text[:80]!r}")
    return value


def _plain(element: "Element") -> str:
    from xml.etree.ElementTree import tostring

    return tostring(element, encoding="unicode")


def rows(form: Form4, ids: dict[int, str], known_at: datetime | None) -> Iterator[tables.Timed]:
    """The report's lines as rows. ids: line number -> trade_id of the lines that it corrects; the others get one of their own."""
    named = insiders.tickers(form.symbol_text)
    for line in form.lines:
        trade_id = ids.get(line.number) or trade_id_of(form, line)
        for place, symbol in enumerate(insiders.of_class(named, f"{line.title} {line.underlying}") or [None]):
            row = _row(form, line, symbol, f"{trade_id}/{place + 1}" if place else trade_id)
            yield tables.Timed(row=row, event_at=times.new_york(line.day), known_at=known_at)


def trade_id_of(form: Form4, line: Line) -> str:
    """What names a line that no earlier report has: the report and the line's number."""
    return f"{form.mark}:{line.number}"


def _row(form: Form4, line: Line, symbol: str | None, trade_id: str) -> insiders.InsiderTrade:
    return insiders.InsiderTrade(
        trade_id=trade_id,
        symbol=symbol,
        symbol_text=form.symbol_text,
        issuer_cik=form.issuer_cik,
        issuer_name=form.issuer_name,
        owner_cik=form.owners[0].cik,
        owner_name="; ".join(owner.name for owner in form.owners),
        is_director=any(owner.is_director for owner in form.owners),
        is_officer=any(owner.is_officer for owner in form.owners),
        is_ten_percent_owner=any(owner.is_ten_percent_owner for owner in form.owners),
        is_other=any(owner.is_other for owner in form.owners),
        officer_title=next((owner.title for owner in form.owners if owner.title), ""),
        transaction_date=line.day,
        code=line.code,
        acquired_disposed=line.acquired_disposed,
        shares=line.shares,
        price_usd=line.price_usd,
        shares_after=line.shares_after,
        ownership=line.ownership,
        is_10b5_1=form.is_10b5_1,
        security_title=line.title,
        derivative=line.derivative,
        footnoted=line.footnoted,
        filed=form.filed,
        accepted_at=form.accepted_at,
        accession=form.accession,
        line=line.number,
        amendment=form.amendment,
        source_url=form.url,
    )


def known(form: Form4) -> datetime:
    """When a report that has lines became known: at its acceptance.

    Bare XML has no header: it counts as known on the day after the latest of its signature and the deadlines, two business days
    after the period and after the last transaction.
    """
    if form.accepted_at is not None:
        return form.accepted_at
    reported = [*(line.day for line in form.lines), *([form.period] if form.period else [])]
    return times.day_after(max([*map(_deadline, reported), *([form.signed] if form.signed else [])]))


def _deadline(traded: date) -> date:
    return date.fromordinal(traded.toordinal() + (2, 2, 2, 4, 4, 3, 2)[traded.weekday()])

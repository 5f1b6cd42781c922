"""Whose name is this: organisations, as agencies and registrants write them, to the symbols of listed companies.

A false match puts another firm's money on a stock, a missed one costs a data point, so every rule prefers to miss.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping

LEGAL = frozenset(
    "AB AG BV CO COMPANIES COMPANY CORP CORPORATION COS GMBH GROUP HOLDING HOLDINGS INC INCORPORATED LIMITED LLC LLP LP LTD NV PLC SA SE"
    " THE TRUST".split()
)
"""Words at the end that say what form a company has and not who it is."""
TAILS = frozenset("AMERICA AMERICAS FEDERAL GLOBAL GOVERNMENT INTERNATIONAL NORTH OPERATIONS US USA WORLDWIDE".split())
"""Words that a company's own subsidiaries append to its name."""
STOP = frozenset(
    "ADVANCED ALLIED AMERICAN AND APPLIED ASSOCIATED ATLANTIC CAPITAL CENTRAL CITIZENS CITY COMMUNITY CONSOLIDATED CONTINENTAL DIGITAL"
    " EASTERN ENERGY FEDERAL FINANCIAL FIRST GENERAL GLOBAL GREAT HEALTH INDEPENDENT INTERNATIONAL LIFE MUTUAL NATIONAL NEW NORTH NORTHERN"
    " OF ONE PACIFIC PUBLIC REGIONAL SERVICE SERVICES SOUTH SOUTHERN STANDARD STATE SYSTEMS TECHNOLOGIES TECHNOLOGY THE UNION UNITED"
    " UNIVERSAL US USA WESTERN WORLD".split()
)
"""Words that thousands of names begin with: never enough by themselves."""
ORDINARY = frozenset(
    "ALLEGION ALPHABET CARRIER CONSTELLATION CORNING DISCOVER DISCOVERY DOMINION DOMINO EVEREST FRONTIER GENESIS GLOBE INTUITIVE INVITATION"
    " LIBERTY LINCOLN MOSAIC PARAMOUNT PINNACLE PIONEER PRINCIPAL PROGRESSIVE PRUDENTIAL REGIONS REPUBLIC SENTINEL SQUARE SUMMIT TAPESTRY"
    " TARGET TRAVELERS TRIMBLE VANGUARD VERTEX WATERS".split()
)
"""Everyday words and family names that are some company's whole name, and many others' first word."""
FOREIGN = frozenset(
    "ALUMNI ASSOCIATION CHURCH COALITION COLLEGE COUNCIL COUNTY CREDIT DISTRICT EMPLOYEES FEDERATION FOUNDATION JOINT JV LEAGUE PAC"
    " RETIREES SCHOOL SCHOOLS SOCIETY TOWN UNIVERSITY VENTURE WORKERS".split()
)
"""Words of organisations that only bear a company's name, and of ventures that belong to several."""
COINED = frozenset(
    "ACCENTURE AMGEN BOEING COMCAST EXXONMOBIL HONEYWELL L3HARRIS LEIDOS MCKESSON MEDTRONIC PFIZER QUALCOMM TELEDYNE TEXTRON"
    " VERIZON".split()
)
"""Whole names of companies that nobody else's name begins with, unless it is one of those FOREIGN words that follow."""
ALIASES = {
    "AMAZON WEB SERVICES": "AMAZON COM",
    "AMAZON COM SERVICES": "AMAZON COM",
    "BELL TEXTRON": "TEXTRON",
    "ELECTRIC BOAT": "GENERAL DYNAMICS",
    "FACEBOOK": "META PLATFORMS",
    "GOOGLE": "ALPHABET",
    "GULFSTREAM AEROSPACE": "GENERAL DYNAMICS",
    "HUGHES AIRCRAFT": "RTX",
    "HUMANA GOVERNMENT BUSINESS": "HUMANA",
    "INTERNATIONAL BUSINESS MACHINES": "IBM",
    "MERCK SHARP AND DOHME": "MERCK",
    "OPTUM": "UNITEDHEALTH",
    "PHILIP MORRIS USA": "ALTRIA",
    "PRATT AND WHITNEY": "RTX",
    "RAYTHEON": "RTX",
    "ROCKWELL COLLINS": "RTX",
    "SIKORSKY AIRCRAFT": "LOCKHEED MARTIN",
    "WAL MART": "WALMART",
    "WAL MART STORES": "WALMART",
}
"""First words of subsidiaries and earlier names -> the core of the company that owned them in 2026."""
SAME = (
    ("AMAZON", "AMAZON COM"),
    ("CISCO", "CISCO SYSTEMS"),
    ("EXXONMOBIL", "EXXON MOBIL"),
    ("FEDEX", "FEDERAL EXPRESS"),
    ("GE AEROSPACE", "GENERAL ELECTRIC"),
    ("HUNTINGTON INGALLS INDUSTRIES", "HUNTINGTON INGALLS"),
    ("IBM", "INTERNATIONAL BUSINESS MACHINES"),
    ("JACOBS SOLUTIONS", "JACOBS ENGINEERING"),
    ("L3HARRIS", "L3HARRIS TECHNOLOGIES"),
    ("RTX", "RAYTHEON TECHNOLOGIES"),
    ("SALESFORCE", "SALESFORCE COM"),
    ("UBER", "UBER TECHNOLOGIES"),
    ("VERIZON", "VERIZON COMMUNICATIONS"),
)
"""Cores of one company, either of which a list may call it by; as whole names, never as the beginning of others."""
UNRELATED = ("COCA COLA BOTTLING", "COCA COLA CONSOLIDATED", "COCA COLA EUROPACIFIC", "COCA COLA UNITED")
"""First words of companies of their own that begin with the name of another one."""
_CLASS = re.compile(r"[\s(,-]+(?:CLASS|CL|SERIES)\s+([A-Z])\)?\s*$")
_SECURITY = re.compile(r"[\s,-]+(?:COMMON STOCK|CAPITAL STOCK|COMMON SHARES?|ORDINARY SHARES?|AMERICAN DEPOSITARY SHARES?)\b.*$")
_SECURITY_ANY_CASE = re.compile(_SECURITY.pattern, re.IGNORECASE)
_STATE = re.compile(r"\s*[/\\(]\s*(?:[A-Z]{2}|NEW|THE)\s*[/\\)]*\s*$")
_REVERSED = re.compile(r"^([A-Z]+) \((?!THE\b|NEW\b|[A-Z]{2}\))([A-Z]+)\)$")
"""A list's way to sort by the family name: `Lilly (Eli)`."""
_OWNED = re.compile(r"[\s(,]+AND (?:ITS |VARIOUS )*(?:SUBSIDIARIES|AFFILIATES)\b.*$")
_ASIDE = re.compile(r"\s*[(\[](?:F/?K/?A|FORMERLY|AKA|D/?B/?A|ALSO|NOW|AND ITS|INCLUDING)\b.*$|\s+(?:F/K/A|FORMERLY KNOWN AS|D/B/A)\s.*$")
_FORM = re.compile(rf"[\s,]+(?:{'|'.join(sorted(LEGAL))}|L\.?L\.?C|L\.?P|S\.?A|N\.?V|THE)\.?\s*$", re.IGNORECASE)

Words = tuple[str, ...]


def words_of(name: str) -> Words:
    """The words of a name in capitals: no punctuation, accents, security, share class, state or earlier name; `&` is AND."""
    text = html.unescape(name)[:300].upper()
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = _REVERSED.sub(r"\2 \1", _OWNED.sub("", text.strip()))
    text = _STATE.sub("", _CLASS.sub("", _SECURITY.sub("", _ASIDE.sub("", text))))
    text = re.sub(r"['’`]", "", text).replace("&", " AND ")
    text = re.sub(r"[^A-Z0-9]+", " ", text)
    words = re.sub(r"\b([A-Z]) (?=[A-Z]\b)", r"\1", text).split()
    return tuple(words[1:] if words[:1] == ["THE"] and len(words) > 1 else words)


def core_of(name: str) -> Words:
    """The words that remain without the legal form: `Lockheed Martin Corp.` gives LOCKHEED MARTIN. A name of such words alone stays."""
    return _without(words_of(name), LEGAL)


def search_text(name: str) -> str:
    """What to ask a search for, in the name's own spelling: without legal form, share class and asides. `Merck & Co.` gives `Merck`."""
    text, before = re.sub(r"\s*\(.*$", "", _SECURITY_ANY_CASE.sub("", name)).strip(), None
    while text != before:
        before, text = text, re.sub(r"\s*&$", "", _FORM.sub("", text)).strip(" ,")
    return text


def _without(words: Words, droppable: frozenset[str]) -> Words:
    """Droppable words, and an AND that they leave behind, taken off the end; all of them when nothing else is there."""
    end = len(words)
    while end > 1 and (words[end - 1] in droppable or words[end - 1] == "AND"):
        end -= 1
    return words if words[0:1] and words[0] in droppable and end == 1 else words[:end]


def _leads(core: Words) -> bool:
    """Whether a core of several words is telling enough to stand before words of another kind."""
    telling = [word for word in core if word not in STOP and len(word) > 1]
    return len(core) > 1 and (len(telling) > 1 or any(len(word) >= 6 for word in telling))


def _distinctive(core: Words) -> bool:
    """Whether a core without tails may answer for a name with them: any of several words, or one long word of no other meaning."""
    return (len(core) > 1 and _leads(core)) or (len(core) == 1 and len(core[0]) >= 6 and core[0] not in ORDINARY | STOP | TAILS)


class Directory:
    """Symbols by company name.

    companies: symbol -> name, canonical symbols. Names that differ in their share class alone are one company, and stand for the symbol
    of its first class; two companies whose names come to the same words are ambiguous, and neither is ever found by them.
    """

    def __init__(self, companies: Mapping[str, str]) -> None:
        whole: dict[Words, list[str]] = {}
        for symbol, name in sorted(companies.items(), key=lambda item: (_share_class(item[1]), item[0])):
            if words_of(name):
                whole.setdefault(words_of(name), []).append(symbol)
        self._whole = {words: symbols[0] for words, symbols in whole.items()}
        own = _unambiguous((_without(words, LEGAL), symbol) for words, symbol in self._whole.items())
        self._heads = {words for words in own if _leads(words)} | {(word,) for word in COINED}
        self._core = _also_called(own)
        self._others = {words: symbol for words, symbol in self._core.items() if words not in own}
        self._short = _unambiguous((_shortened(words), symbol) for words, symbol in self._whole.items())
        self._aliases = {tuple(alias.split()): self._core.get(tuple(core.split())) for alias, core in ALIASES.items()}
        self._unrelated = {tuple(words.split()) for words in UNRELATED}
        self._found: dict[str, str | None] = {}

    def symbol_of(self, name: str) -> str | None:
        """The symbol of the company that an organisation's name belongs to; None when it is none's, or more than one's.

        The same words (legal form apart), or a company's words before others, when they are telling: `LOCKHEED MARTIN AERONAUTICS`.
        A name of one word answers for itself, its legal forms and, when nothing else is called so, its geographic subsidiaries; a
        coined word for every name that begins with it.
        """
        if name not in self._found:
            self._found[name] = self._search(words_of(name))
        return self._found[name]

    def searches(self, name: str) -> list[str]:
        """What finds a company's records by a search for names: its own name's text, its other names and those of its subsidiaries."""
        own = self.symbol_of(name)
        named = [*self._others.items(), *self._aliases.items()]
        owned = [" ".join(words).replace(" AND ", " & ") for words, symbol in named if symbol is not None and symbol == own]
        return [search_text(name), *dict.fromkeys(owned)]

    def _search(self, words: Words) -> str | None:
        if not words:
            return None
        core = _without(words, LEGAL)
        if words in self._whole:
            return self._whole[words]
        if core in self._core:
            return self._core[core]
        if FOREIGN.intersection(words) or any(core[: len(head)] == head for head in self._unrelated):
            return None
        if core in self._aliases:
            return self._aliases[core]
        short = _shortened(words)
        if _distinctive(short) and short in self._short:
            return self._short[short]
        return self._leading(core)

    def _leading(self, core: Words) -> str | None:
        """The company, or subsidiary, with the most words that the name begins with."""
        for count in range(len(core), 0, -1):
            head = core[:count]
            if self._aliases.get(head) is not None:
                return self._aliases[head]
            if head in self._heads and count < len(core):
                return self._core.get(head)
        return None


def _shortened(words: Words) -> Words:
    return _without(_without(words, LEGAL), LEGAL | TAILS)


def _share_class(name: str) -> str:
    """The letter of the share class that a name states; empty without one, which sorts first."""
    found = _CLASS.search(_SECURITY.sub("", name.upper().strip()))
    return found[1] if found else ""


def _also_called(cores: Mapping[Words, str | None]) -> dict[Words, str | None]:
    """The cores, and the other names of those that have one which no other company bears."""
    made = dict(cores)
    for pair in SAME:
        one, other = (tuple(name.split()) for name in pair)
        for name, listed in ((one, other), (other, one)):
            if name not in cores and listed in cores:
                made[name] = cores[listed]
    return made


def _unambiguous(pairs: Iterable[tuple[Words, str]]) -> dict[Words, str | None]:
    """Words -> symbol; None where several companies have them."""
    made: dict[Words, str | None] = {}
    for words, symbol in pairs:
        made[words] = None if words in made else symbol
    return made

"""The securities of the generated market: invented companies, and real tickers of index, sector and leveraged funds."""

from dataclasses import dataclass
from itertools import product

SECTORS = (
    ("Communication Services", "Interactive Media & Services", "XLC"),
    ("Consumer Discretionary", "Broadline Retail", "XLY"),
    ("Consumer Staples", "Packaged Foods & Meats", "XLP"),
    ("Energy", "Integrated Oil & Gas", "XLE"),
    ("Financials", "Diversified Banks", "XLF"),
    ("Health Care", "Biotechnology", "XLV"),
    ("Industrials", "Industrial Machinery & Supplies & Components", "XLI"),
    ("Information Technology", "Application Software", "XLK"),
    ("Materials", "Commodity Chemicals", "XLB"),
    ("Real Estate", "Retail REITs", "XLRE"),
    ("Utilities", "Electric Utilities", "XLU"),
)
"""GICS sector, a sub-industry of it, and its sector fund, in the order of the sector factors."""

LEVERAGED = {
    "SSO": ("SPY", 2.0),
    "UPRO": ("SPY", 3.0),
    "QLD": ("QQQ", 2.0),
    "TQQQ": ("QQQ", 3.0),
    "ROM": ("XLK", 2.0),
    "TECL": ("XLK", 3.0),
    "SOXL": ("XLK", 3.0),
    "UYG": ("XLF", 2.0),
    "FAS": ("XLF", 3.0),
    "ERX": ("XLE", 2.0),
    "RXL": ("XLV", 2.0),
    "CURE": ("XLV", 3.0),
    "UXI": ("XLI", 2.0),
    "DUSL": ("XLI", 3.0),
    "UCC": ("XLY", 2.0),
    "WANT": ("XLY", 3.0),
    "UYM": ("XLB", 2.0),
    "UTSL": ("XLU", 3.0),
    "URE": ("XLRE", 2.0),
    "DRN": ("XLRE", 3.0),
    "LABU": ("XLV", 3.0),
}
"""Fund -> (what it multiplies, daily multiple)."""

BROAD = ("SPY", "QQQ", "TLT", "GLD", "SHY")
FUNDS = (*BROAD, *(fund for _, _, fund in SECTORS), *LEVERAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A security. kind is `stock` or `fund`; sector is empty for funds that span several."""

    symbol: str
    name: str
    kind: str
    sector: str
    sub_industry: str
    exchange: str


def stocks(count: int) -> tuple[Asset, ...]:
    """`count` (at most 676) invented companies, their tickers ZAAA, ZAAB, ..., spread over the sectors in turn."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    tickers = [f"ZA{first}{second}" for first, second in product(letters, letters)][:count]
    return tuple(_stock(ticker, number) for number, ticker in enumerate(tickers))


def _stock(ticker: str, number: int) -> Asset:
    sector, sub_industry, _ = SECTORS[number % len(SECTORS)]
    exchange = "NASDAQ" if number % 2 else "NYSE"
    name = f"Synthetic {sector} {number // len(SECTORS) + 1:02d} Inc."
    return Asset(symbol=ticker, name=name, kind="stock", sector=sector, sub_industry=sub_industry, exchange=exchange)


def funds() -> tuple[Asset, ...]:
    """The funds, in the order of FUNDS."""
    sector_of = {fund: sector for sector, _, fund in SECTORS}
    sector_of |= {fund: sector_of.get(base, "") for fund, (base, _) in LEVERAGED.items()}
    return tuple(
        Asset(
            symbol=fund,
            name=f"Synthetic stand-in for {fund}",
            kind="fund",
            sector=sector_of.get(fund, ""),
            sub_industry="",
            exchange="ARCA",
        )
        for fund in FUNDS
    )

"""Congressional disclosures: every shape, every kind of dirt, and the real archives."""

import csv
import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import house_clerk, house_reports, quiver_congress, senate_reports
from scrapers.errors import BadFile, SourceChanged, SourceRefused
from scrapers.sources import congress_trades as congress

V1 = json.loads(
    '{"Representative":"Nancy Pelosi","BioGuideID":"P000197","ReportDate":"2025-01-17","TransactionDate":"2024-12-20","Ticker":"NVDA",'
    '"Transaction":"Purchase","Range":"$500,001 - $1,000,000","District":null,"House":"Representatives","Amount":"500001.0","Party":"D",'
    '"last_modified":"2025-01-18","TickerType":"ST","Description":null,"ExcessReturn":1.23,"PriceChange":2.0,"SPYChange":0.8}'
)
V2 = json.loads(
    '{"Ticker":"CVS","TickerType":"Stock","Company":"CVS Corp","Traded":"2023-08-22","Transaction":"Sale (Full)",'
    '"Trade_Size_USD":"$1,001 - $15,000","Status":"New","Subholding":null,"Description":null,"Name":"Gardner, Cory",'
    '"BioGuideID":"G000562","Filed":"2023-09-18","Party":"R","District":null,"Chamber":"Senate","Comments":null,'
    '"Quiver_Upload_Time":"2023-09-19","excess_return":"5.894026562437","State":"Alaska","last_modified":"2023-09-20"}'
)
TRADE = {
    "transaction_date": "02/11/2021",
    "owner": "Spouse",
    "ticker": '<a href="https://finance.yahoo.com/q?s=PENN" target="_blank">PENN</a>',
    "asset_description": "Penn National Gaming",
    "asset_type": "Stock",
    "type": "Sale (Full)",
    "amount": "$1,001 - $15,000",
    "comment": "--",
}
FILING = {
    "first_name": "Susan M",
    "last_name": "Collins",
    "office": "Collins, Susan M. (Senator)",
    "ptr_link": "https://efdsearch.senate.gov/search/view/ptr/32550a8f-923e-416f-84f3-e19ab4f148b1/",
    "date_recieved": "03/10/2021",
    "bioguide": "C001035",
}
HOUSE_COLUMNS = (
    "disclosure_year,disclosure_date,transaction_date,owner,ticker,asset_description,type,amount,representative,district,ptr_link,"
    "cap_gains_over_200_usd"
)
HOUSE_LINK = "https://disclosures-clerk.house.gov/public_disc/ptr-pdfs/2020/20016193.pdf"
HOUSE_ROW = f'2020,04/28/2020,2020-02-24,joint,BHC,Bausch Health,purchase,"$1,001 -",Hon. Susie Lee,NV03,{HOUSE_LINK},False'


def senate(*trades: dict) -> list[dict]:
    return [{**FILING, "transactions": list(trades)}]


def loaded(path: Path) -> tuple[list[dict], list[tuple[str, str]]]:
    batches = list(congress.load([path]))
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    return rows, [(reject.reason, reject.raw) for batch in batches for reject in batch.rejects]


def from_json(tmp_path: Path, document: object) -> tuple[list[dict], list[tuple[str, str]]]:
    path = tmp_path / "anything.dat"
    path.write_text(json.dumps(document))
    return loaded(path)


def test_a_senate_trade_is_known_from_the_day_after_it_was_received(tmp_path: Path):
    (row,), rejects = from_json(tmp_path, senate(TRADE))
    assert rejects == []
    assert row["event_at"] == datetime(2021, 2, 11, 5, tzinfo=UTC)
    assert row["known_at"] == datetime(2021, 3, 11, 5, tzinfo=UTC)
    assert {k: row[k] for k in ("chamber", "member", "member_id", "owner", "symbol", "transaction", "filing_id")} == {
        "chamber": "senate",
        "member": "Susan M Collins",
        "member_id": "C001035",
        "owner": "spouse",
        "symbol": "PENN",
        "transaction": "sale_full",
        "filing_id": "32550a8f-923e-416f-84f3-e19ab4f148b1",
    }


def test_a_house_file_is_recognised_gzipped_and_under_any_name(tmp_path: Path):
    path = tmp_path / "download"
    path.write_bytes(gzip.compress(f"\ufeff{HOUSE_COLUMNS}\r\n{HOUSE_ROW}\r\n\r\n".encode()))
    (row,), rejects = loaded(path)
    assert rejects == []
    assert (row["member"], row["symbol"], row["filing_id"], row["owner"]) == ("Susie Lee", "BHC", "20016193", "joint")
    assert (row["amount_low_usd"], row["amount_high_usd"], row["amount_text"]) == (1001.0, 15000.0, "$1,001 -")
    assert row["known_at"] == datetime(2020, 4, 29, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("record", "member", "chamber", "symbol", "low"),
    [(V1, "Nancy Pelosi", "house", "NVDA", 500_001.0), (V2, "Cory Gardner", "senate", "CVS", 1001.0)],
)
def test_both_quiver_records_are_read(tmp_path: Path, record: dict, member: str, chamber: str, symbol: str, low: float):
    (row,), rejects = from_json(tmp_path, [record])
    assert rejects == []
    assert (row["member"], row["chamber"], row["symbol"], row["amount_low_usd"]) == (member, chamber, symbol, low)
    assert (row["asset_type"], row["owner"]) == ("Stock", "unknown")


def test_a_v1_record_without_a_range_names_its_bracket_by_the_amount(tmp_path: Path):
    (row,), _ = from_json(tmp_path, [{**V1, "Range": None}])
    assert (row["amount_low_usd"], row["amount_high_usd"]) == (500_001.0, 1_000_000.0)


def test_equal_trades_of_one_filing_are_kept_and_numbered(tmp_path: Path):
    rows, _ = from_json(tmp_path, senate(TRADE, TRADE, {**TRADE, "amount": "$15,001 - $50,000"}, TRADE))
    assert [row["occurrence"] for row in rows] == [0, 1, 0, 2]
    assert len({tuple(row[name] for name in congress.KEY) for row in rows}) == 4


def test_the_same_file_twice_gives_the_same_keys_twice(tmp_path: Path):
    first, _ = from_json(tmp_path, senate(TRADE, TRADE))
    again, _ = from_json(tmp_path, senate(TRADE, TRADE))
    assert first == again


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"transaction_date": "06/09/0009"}, "impossible_date"),
        ({"transaction_date": "11/18/20221"}, "impossible_date"),
        ({"transaction_date": ""}, "impossible_date"),
        ({"transaction_date": "03/11/2021"}, "traded_after_disclosure"),
        ({"ticker": "MSFT|AAPL"}, "two_tickers"),
        ({"type": "Gift"}, "unknown_transaction"),
    ],
)
def test_what_cannot_be_a_trade_is_a_reject_with_its_reason_and_record(tmp_path: Path, change: dict, reason: str):
    rows, rejects = from_json(tmp_path, senate({**TRADE, **change}, TRADE))
    assert len(rows) == 1
    assert [found for found, _ in rejects] == [reason]
    assert json.loads(rejects[0][1]) == {**TRADE, **change}


def test_a_paper_filing_is_one_reject(tmp_path: Path):
    rows, rejects = from_json(tmp_path, [*senate(TRADE), {**FILING, "transactions": []}])
    assert len(rows) == 1
    assert [reason for reason, _ in rejects] == ["paper_filing"]


def test_a_name_in_the_ticker_column_and_a_ticker_in_the_name_column_change_places(tmp_path: Path):
    (row,), _ = from_json(tmp_path, senate({**TRADE, "ticker": "Broadcom Inc.", "asset_description": "AVGO"}))
    assert (row["symbol"], row["asset_description"], row["symbol_note"]) == ("AVGO", "Broadcom Inc.", "columns_swapped")


def test_a_bond_without_a_ticker_is_a_row_without_a_symbol(tmp_path: Path):
    bond = {**TRADE, "ticker": "--", "asset_description": 'LII 526107AF4 <div class="text-muted"><em>Rate:</em> 1.7%</div>'}
    (row,), _ = from_json(tmp_path, senate({**bond, "asset_type": "Corporate Bond"}))
    assert (row["symbol"], row["symbol_note"], row["asset_description"]) == (None, "no_ticker", "LII 526107AF4 Rate: 1.7%")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[{"transaction_date":"11/10/2020","senator":"R","ptr_link":"x","type":"Purchase"}]', "no filing date"),
        (b"a,b,c\n1,2,3\n", "columns a, b, c"),
        (b"[]", "without records"),
        (b'{"a": 1}', "without records"),
        (b'[{"a": 1, "b": 2}]', "keys a, b"),
        (b"[" * 50_000, "does not parse"),
        (b"\x1f\x8b broken", "cannot be read"),
        (b"PAR1", "Parquet"),
        (b"\x00\x01\x02\x00binary", "binary"),
        (b"", "columns"),
    ],
)
def test_a_file_of_another_shape_is_refused_saying_what_was_found(tmp_path: Path, content: bytes, says: str):
    path = tmp_path / "f.bin"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=says) as caught:
        loaded(path)
    assert "f.bin" in str(caught.value)


def test_the_refusal_names_the_shapes_that_are_known(tmp_path: Path):
    path = tmp_path / "f.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(BadFile) as caught:
        loaded(path)
    assert all(shape in str(caught.value) for shape in congress.SHAPES)


def test_a_record_that_does_not_fit_the_header_is_a_reject(tmp_path: Path):
    path = tmp_path / "f.csv"
    path.write_text(f"{HOUSE_COLUMNS}\n{HOUSE_ROW}\n2020,04/28/2020\n")
    rows, rejects = loaded(path)
    assert (len(rows), [reason for reason, _ in rejects]) == (1, ["not_a_record"])


class Canned:
    """Stands for the HTTP client: answers with the given documents in turn and keeps what was asked."""

    content = b""

    def __init__(self, *documents: object) -> None:
        self.documents, self.asked = list(documents), []

    def get(self, url: str, params: object = None, *, source: str, rate: object) -> "Canned":
        self.asked.append((url, params))
        return self

    def json(self) -> object:
        return self.documents.pop(0)


def fetched(*documents: object, **options: object) -> list[dict]:
    since, until = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    return [row for batch in quiver_congress.fetch(Canned(*documents), since, until, options) for row in batch.rows.to_pylist()]


def test_live_rows_leave_known_at_to_the_ingest():
    assert [row["known_at"] for row in fetched([V1, V2])] == [None, None]


def test_backfilled_rows_are_known_the_day_after_disclosure_and_only_those_of_the_window_come():
    early = {**V1, "ReportDate": "2022-12-30", "TransactionDate": "2022-12-01"}
    rows = fetched([V1, early], [], backfill=True)
    assert [(row["disclosure_date"], row["known_at"]) for row in rows] == [(date(2025, 1, 17), datetime(2025, 1, 18, 5, tzinfo=UTC))]


def test_backfill_pages_until_a_short_page_and_numbers_equal_records_over_pages():
    other = {**V1, "Ticker": "AAPL"}
    rows = fetched([V1, V1, other], [other, V1, V1], [V1], backfill=True)
    assert [row["occurrence"] for row in rows if row["symbol"] == "NVDA"] == [0, 1, 2, 3, 4]


def test_a_service_that_ignores_the_page_number_is_a_changed_source():
    with pytest.raises(SourceChanged, match="page=2"):
        fetched([V1, V2], [V1, V2], backfill=True)


@pytest.mark.parametrize("page", [{"data": []}, None, 3, "an error page", [1], [{"Ticker": "A"}], [V1, None]])
def test_a_page_of_another_shape_is_a_changed_source(page: object):
    with pytest.raises(SourceChanged, match="congresstrading"):
        fetched(page)


def test_a_missing_plan_reported_as_a_bare_string_is_a_refusal():
    with pytest.raises(SourceRefused, match="Upgrade"):
        fetched("Upgrade your subscription plan to access this dataset.")


def keys(rows: list[dict]) -> list[tuple]:
    return [tuple(row[name] for name in congress.KEY) for row in rows]


def test_both_editions_of_a_quiver_record_have_one_key(tmp_path: Path):
    v2 = {
        **V2, "Ticker": "NVDA", "Company": "Synthetic Name", "Traded": "2024-12-20", "Transaction": "Purchase",
        "Trade_Size_USD": "500001.0", "Name": "Pelosi, Nancy", "BioGuideID": "P000197", "Filed": "2025-01-17", "Chamber": "House",
        "TickerType": "Stock",
    }  # fmt: skip
    one, _ = from_json(tmp_path, [V1])
    for record in (v2, {**v2, "Trade_Size_USD": "$500,001 - $1,000,000"}, {**v2, "Trade_Size_USD": 500001}):
        other, _ = from_json(tmp_path, [record])
        assert keys(other) == keys(one)


@pytest.mark.parametrize("size", ["Over $50,000,000", "50000001.0", 50_000_001, "50000000"])
def test_the_highest_bracket_has_one_key_however_it_is_written(tmp_path: Path, size: object):
    (row,), _ = from_json(tmp_path, [{**V2, "Trade_Size_USD": size}])
    assert (row["amount_low_usd"], row["amount_high_usd"]) == (50_000_000.0, None)


def test_a_record_that_reappears_with_a_later_revision_is_a_new_version_of_the_same_key(tmp_path: Path):
    amended = {**V1, "Description": "Synthetic amendment", "last_modified": "2025-03-03"}
    for records in ([V1, amended], [amended, V1]):
        rows, _ = from_json(tmp_path, records)
        assert len(set(keys(rows))) == 1
        assert [(row["asset_description"], row["known_at"].date()) for row in rows] == [
            ("", date(2025, 1, 18)),
            ("Synthetic amendment", date(2025, 3, 4)),
        ]


def test_live_shows_the_last_revision_alone():
    amended = {**V1, "Description": "Synthetic amendment", "last_modified": "2025-03-03"}
    assert [row["asset_description"] for row in fetched([amended, V1])] == ["Synthetic amendment"]


def test_a_revision_that_changes_nothing_is_no_version(tmp_path: Path):
    rows, _ = from_json(tmp_path, [V1, {**V1, "last_modified": "2025-03-03", "ExcessReturn": 9.0}])
    assert len(rows) == 1


def test_stock_and_option_of_one_day_are_two_trades(tmp_path: Path):
    rows, _ = from_json(tmp_path, [V1, {**V1, "TickerType": "OP"}])
    assert len(set(keys(rows))) == 2
    assert [row["occurrence"] for row in rows] == [0, 0]


def test_the_editions_of_one_chamber_are_read(tmp_path: Path):
    bare = {name: value for name, value in V1.items() if name not in ("TransactionDate", "Representative", "House", "Party")}
    bare |= {"Date": "2024-12-20", "Type": "Stock Option"}
    (house,), _ = from_json(tmp_path, [{**bare, "Representative": "Nancy Pelosi", "party": "D"}])
    assert (house["chamber"], house["party"], house["asset_type"]) == ("house", "D", "Stock Option")
    (senate_row,), _ = from_json(tmp_path, [{**bare, "Senator": "Susan M Collins", "Type": "Stock"}])
    assert (senate_row["chamber"], senate_row["member"], senate_row["asset_type"]) == ("senate", "Susan M Collins", "Stock")


def test_a_page_that_begins_with_the_end_of_the_one_before_is_read_once():
    records = [{**V1, "Ticker": ticker} for ticker in ("A", "AA", "AAA", "B", "BB")]
    rows = fetched(records[:4], [*records[2:4], records[4], V1], [], backfill=True)
    assert sorted(row["symbol"] for row in rows) == ["A", "AA", "AAA", "B", "BB", "NVDA"]
    assert {row["occurrence"] for row in rows} == {0}


HEADINGS = "ID Owner Asset Transaction\nType\nDate Notification\nDate Amount Cap.\nGains >\n$200?\n"


def entries(text: str) -> list[tuple[str, ...]]:
    found = house_reports.entries(HEADINGS + text)
    return [(e.owner, e.asset, e.ticker, e.transaction, e.amount) if isinstance(e, house_reports.Entry) else (e.text,) for e in found]


@pytest.mark.parametrize(
    "text",
    [
        "SP Rollins, Inc. Common Stock (ROL) [ST] P 12/12/2024 01/08/2025 $15,001 - $50,000\nF S: New",
        "SP Rollins, Inc. Common Stock (ROL) P 12/12/2024 01/08/2025 $15,001 -\n[ST] $50,000\nF S: New",
        "SP Rollins, Inc. Common\nStock (ROL) [ST]\nP 12/12/2024 01/08/2025 $15,001 -\n$50,000\nFiling Status: New",
        "SP\nRollins, Inc. Common Stock\n(ROL) [ST]P 12/12/202401/08/2025\n$15,001 -\n$50,000 gfedc\nFIlINg STATuS: New",
        f"2000086356SP Rollins, Inc. Common P 12/12/2024 01/08/2025 $15,001 -\n{HEADINGS}Stock (ROL) [ST] $50,000\nF\0\0 S\0: New",
    ],
)
def test_a_transaction_of_the_house_is_read_however_its_lines_break(text: str):
    assert entries(text) == [("SP", "Rollins, Inc. Common Stock", "ROL", "P", "$15,001 - $50,000")]


def test_a_long_description_ends_before_the_next_transaction():
    note = "D: Exercised 50 call options purchased 1/14/25 (5,000 shares) at a strike price of $150 with an expiration date of\n1/16/26."
    before, behind = "A Inc. (A) [ST] P 01/02/2025 01/03/2025 $1,001 - $15,000", "B Inc.\n(B) [ST]\nS 01/02/2025 01/03/2025 $15.00"
    text = f"{before}\nF S: New\n{note}\n{behind}\nF S: New"
    assert entries(text) == [("self", "A Inc.", "A", "P", "$1,001 - $15,000"), ("self", "B Inc.", "B", "S", "$15.00")]


def test_two_transactions_between_two_statuses_are_not_guessed_apart():
    one = "A Inc. (A) [ST] P 01/02/2025 01/03/2025 $1,001 - $15,000"
    (found,) = entries(f"{one}\n{one}\nF S: New")
    assert len(found) == 1
    assert entries(one) == [(one,)]


@pytest.mark.parametrize(
    ("cell", "asset"),
    [
        ("Apple Inc. - Common Stock (AAPL) [ST]", ("Apple Inc. - Common Stock", "AAPL", "Stock")),
        ("US Treasury Bill (912797KJ5) [GS]", ("US Treasury Bill (912797KJ5)", "", "Government Security")),
        ("Synthetic Fund (Class A) [MF]", ("Synthetic Fund (Class A)", "", "Mutual Fund")),
        ("Synthetic Holdings (Inc)", ("Synthetic Holdings (Inc)", "", "")),
        ("Berkshire (BRK.B)", ("Berkshire", "BRK.B", "")),
        ("Synthetic thing [ZZ]", ("Synthetic thing", "", "ZZ")),
    ],
)
def test_an_asset_of_the_house_is_name_ticker_and_type(cell: str, asset: tuple[str, str, str]):
    text = f"{HEADINGS}{cell} P 01/02/2025 01/03/2025 $1,001 - $15,000\nF S: New"
    (entry,) = house_reports.entries(text)
    assert isinstance(entry, house_reports.Entry)
    assert (entry.asset, entry.ticker, entry.asset_type) == asset


PAYLOADS = Path(__file__).parent / "payloads"


def test_an_index_with_its_report_and_a_senate_page_are_imported(tmp_path: Path):
    for source, name in (("house_clerk", "2025FD.zip"), ("house_clerk", "20026590.pdf"), ("senate_efd", "report.html")):
        target = tmp_path / name.replace("report", "32550a8f-923e-416f-84f3-e19ab4f148b1")
        target.write_bytes((PAYLOADS / source / "normal" / name).read_bytes())
    batches = list(congress.load(sorted(tmp_path.iterdir())))
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    assert [(row["member"], row["symbol"], row["known_at"]) for row in rows] == [
        ("Nancy Pelosi", "NVDA", datetime(2025, 1, 18, 5, tzinfo=UTC)),
        ("Susan M Collins", "PENN", datetime(2021, 3, 11, 5, tzinfo=UTC)),
    ]
    assert [reject for batch in batches for reject in batch.rejects] == []


def test_a_report_without_its_index_is_refused_for_nobody_knows_when_it_was_filed(tmp_path: Path):
    path = tmp_path / "20026590.pdf"
    path.write_bytes((PAYLOADS / "house_clerk/normal/20026590.pdf").read_bytes())
    rows, rejects = loaded(path)
    assert rows == []
    assert [reason for reason, _ in rejects] == ["no_disclosure_date"]


def test_a_saved_senate_page_and_the_mirror_give_one_trade_one_key(tmp_path: Path):
    page = tmp_path / "32550a8f-923e-416f-84f3-e19ab4f148b1.html"
    page.write_bytes((PAYLOADS / "senate_efd/normal/report.html").read_bytes())
    of_page, _ = loaded(page)
    of_mirror, _ = from_json(tmp_path, senate(TRADE))
    assert keys(of_page) == keys(of_mirror)


def test_an_amendment_of_one_of_several_reports_of_a_day_goes_to_the_one_that_shares_its_trades():
    def report(uuid: str, amendment: int) -> senate_reports.Report:
        filed = date(2021, 3, 10 + amendment)
        return senate_reports.Report(
            first_name="Synthetic",
            last_name="Member",
            office="",
            uuid=uuid,
            of=date(2021, 3, 10),
            amendment=amendment,
            filed=filed,
            paper=False,
        )

    def page(*tickers: str) -> str:
        heads = "".join(f"<th>{name}</th>" for name in senate_reports.COLUMNS)
        cells = "".join(
            f"<tr><td>01/05/2021</td><td>Self</td><td>{t}</td><td>{t}</td><td>Stock</td><td>Purchase</td><td>$1,001 - $15,000</td></tr>"
            for t in tickers
        )
        return f"<table><tr>{heads}</tr>{cells}</table></html>"

    pages = [(report("a", 0), page("A", "AA")), (report("b", 0), page("B", "BB")), (report("c", 1), page("B")), (report("d", 1), page("C"))]
    found = list(senate_reports.settled((each, senate_reports.parse_page(text, each)) for each, text in pages))
    refused = [each.reason for each in found if not isinstance(each, list)]
    struck = [each.item.row for chain in found if isinstance(chain, list) for each in chain if each.struck]
    assert refused == ["ambiguous_amendment"]
    assert [(row.symbol, row.filing_id) for row in struck] == [("BB", "b")]


def test_a_senate_page_that_ends_in_its_middle_is_a_changed_source():
    text = (PAYLOADS / "senate_efd/normal/report.html").read_text()
    report = senate_reports.listed(
        [
            "Susan M",
            "Collins",
            "",
            '<a href="/search/view/ptr/32550a8f-923e-416f-84f3-e19ab4f148b1/">Periodic Transaction Report for 03/10/2021</a>',
            "03/10/2021",
        ],
        "list",
    )
    assert isinstance(report, senate_reports.Report)
    assert len(senate_reports.parse_page(text, report)) == 1
    with pytest.raises(SourceChanged, match="middle"):
        senate_reports.parse_page(text[:-20], report)


def test_a_pdf_that_ends_in_its_middle_has_no_text():
    content = (PAYLOADS / "house_clerk/normal/20026590.pdf").read_bytes()
    assert "NVIDIA" in house_clerk.text_of(content)
    assert house_clerk.text_of(content[: len(content) // 2]) == ""


def test_most_reports_unread_is_a_changed_source(tmp_path: Path):
    class Empty:
        status, content, not_modified = 200, b"%PDF-1.4 %%EOF", False

    class Http:
        def get(self, *args: object, **options: object) -> Empty:
            return Empty()

    filings = [
        house_clerk.Filing(member="Synthetic Member", district="XX01", year=2025, filed=date(2025, 1, 2), doc_id=str(20_000_000 + n))
        for n in range(3)
    ]
    with pytest.raises(SourceChanged, match="3 of 3"):
        house_clerk.read_all(Http(), filings)


def test_the_real_senate_archive_reconciles(shared_data: Path):
    path = shared_data / "data/congress/senate_daily_summaries.json.gz"
    filings = json.loads(gzip.decompress(path.read_bytes()))
    trades = [trade for filing in filings for trade in filing["transactions"]]
    paper = [filing for filing in filings if not filing["transactions"]]
    rows, rejects = loaded(path)
    reasons = [reason for reason, _ in rejects]
    assert len(rows) + len(rejects) == len(trades) + len(paper)
    assert reasons.count("paper_filing") == len(paper) == 463
    assert set(reasons) == {"paper_filing", "traded_after_disclosure"}
    assert len({tuple(row[name] for name in congress.KEY) for row in rows}) == len(rows)
    assert all(row["known_at"] > row["event_at"] and "<" not in row["asset_description"] for row in rows)
    without_ticker = sum(row["ticker_text"] == "--" for row in rows) + sum('"ticker": "--"' in raw for _, raw in rejects)
    assert without_ticker == sum(trade["ticker"] == "--" for trade in trades)


def test_the_real_house_archive_reconciles(shared_data: Path):
    path = shared_data / "data/congress/house_all_transactions_2020_2021q1.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        records = list(csv.DictReader(text))
    rows, rejects = loaded(path)
    impossible = [
        r for r in records if datetime.strptime(r["disclosure_date"], "%m/%d/%Y").date() < date.fromisoformat(r["transaction_date"])
    ]
    assert len(rows) + len(rejects) == len(records) == 9213
    assert {reason for reason, _ in rejects} == {"traded_after_disclosure"}
    assert len(rejects) == len(impossible)
    assert len({tuple(row[name] for name in congress.KEY) for row in rows}) == len(rows)
    exact_duplicates = len(records) - len({tuple(r.values()) for r in records})
    assert sum(row["occurrence"] > 0 for row in rows) >= exact_duplicates == 315
    assert not any(row["symbol"] == "BAC" for row in rows if row["ticker_text"] == "BAC$K")


def test_the_real_flat_senate_file_is_refused_with_what_to_use_instead(shared_data: Path):
    with pytest.raises(BadFile, match=r"no filing date.*all_daily_summaries"):
        loaded(shared_data / "data/congress/senate_all_transactions.json.gz")

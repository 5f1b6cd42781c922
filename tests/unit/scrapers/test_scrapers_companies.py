"""Names of organisations find their company, or none: the hard cases are the ones that must not match."""

import pytest

from scrapers.companies import Directory, core_of, search_text, words_of

COMPANIES = {
    "AAPL": "Apple Inc.",
    "AMGN": "Amgen",
    "AMZN": "Amazon.com, Inc.",
    "AXP": "American Express",
    "BA": "Boeing",
    "BALL": "Ball Corporation",
    "CAT": "Caterpillar Inc.",
    "FOX": "Fox Corporation (Class B)",
    "FOXA": "Fox Corporation (Class A)",
    "GD": "General Dynamics",
    "GE": "GE Aerospace",
    "GIS": "General Mills",
    "GOOG": "Alphabet Inc. (Class C)",
    "GOOGL": "Alphabet Inc. (Class A)",
    "HON": "Honeywell",
    "JCI": "Johnson Controls International plc",
    "JNJ": "Johnson & Johnson",
    "LMT": "Lockheed Martin",
    "MCD": "McDonald's",
    "MSFT": "Microsoft",
    "MRK": "Merck & Co.",
    "NFX": "Encompass Holdings Inc",
    "NFY": "Encompass Group LLC",
    "NOC": "Northrop Grumman",
    "RTX": "RTX Corporation",
    "T": "AT&T",
    "TGT": "Target Corporation",
    "UNH": "UnitedHealth Group",
    "UPS": "United Parcel Service",
    "V": "Visa Inc.",
    "DIS": "Walt Disney Company (The)",
    "AOS": "A. O. Smith",
    "ZAAA": "Synthetic Energy 01 Inc.",
    "ZAAB": "Synthetic Energy 02 Inc.",
}


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory(COMPANIES)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("APPLE INC", "AAPL"),
        ("Apple, Inc.", "AAPL"),
        ("APPLE INC /CA/", "AAPL"),
        ("LOCKHEED MARTIN CORPORATION", "LMT"),
        ("LOCKHEED MARTIN AERONAUTICS", "LMT"),
        ("Lockheed  Martin\tCorp. (MD)", "LMT"),
        ("THE BOEING COMPANY", "BA"),
        ("BOEING CO, THE", "BA"),
        ("GENERAL DYNAMICS INFORMATION TECHNOLOGY, INC.", "GD"),
        ("ELECTRIC BOAT CORPORATION", "GD"),
        ("HONEYWELL INTERNATIONAL INC.", "HON"),
        ("JOHNSON CONTROLS INC", "JCI"),
        ("JOHNSON & JOHNSON SERVICES", "JNJ"),
        ("JOHNSON AND JOHNSON", "JNJ"),
        ("MICROSOFT CORPORATION", "MSFT"),
        ("MERCK SHARP & DOHME LLC", "MRK"),
        ("Merck and Co Inc", "MRK"),
        ("CATERPILLAR AMERICAS CO", "CAT"),
        ("AMAZON WEB SERVICES, INC.", "AMZN"),
        ("GOOGLE CLIENT SERVICES", "GOOGL"),
        ("ALPHABET INC.", "GOOGL"),
        ("FOX CORP", "FOXA"),
        ("RAYTHEON COMPANY", "RTX"),
        ("AT&T CORP.", "T"),
        ("A T & T INC", "T"),
        ("MCDONALDS CORP", "MCD"),
        ("Northrop Grumman Systems Corporation", "NOC"),
        ("THE WALT DISNEY CO", "DIS"),
        ("A.O. SMITH CORP", "AOS"),
        ("UNITED PARCEL SERVICE GENERAL SERVICES CO.", "UPS"),
        ("American Express Travel Related Services", "AXP"),
        ("ENCOMPASS HOLDINGS INC", "NFX"),
        ("Lockheed Martin Corporation (formerly Synthetic Aircraft)", "LMT"),
        ("SYNTHETIC ENERGY 01 INC.", "ZAAA"),
        ("Synthetic Energy 02 Defense Systems LLC", "ZAAB"),
    ],
)
def test_a_name_finds_its_company(directory: Directory, name: str, symbol: str | None):
    assert directory.symbol_of(name) == symbol


@pytest.mark.parametrize(
    "name",
    [
        "Apple Valley School District",
        "APPLE TREE SERVICES LLC",
        "TARGET MEDIA INC",
        "TARGET INTERNATIONAL LLC",
        "VISA USERS GROUP OF OHIO",
        "BALL STATE UNIVERSITY",
        "BALL AND CHAIN LLC",
        "GENERAL SERVICES INC",
        "GENERAL",
        "AMERICAN",
        "UNITED",
        "FIRST NATIONAL",
        "UNITED STATES POSTAL SERVICE",
        "MICROSOFT USERS ALLIANCE",
        "CATERPILLAR CLUB OF IOWA",
        "JOHNSON",
        "JOHNSON BROTHERS CONSTRUCTION",
        "RAYTHEON/LOCKHEED MARTIN JAVELIN JOINT VENTURE",
        "LOCKHEED MARTIN EMPLOYEES PAC",
        "GENERAL DYNAMICS RETIREES ASSOCIATION",
        "LOCKHEED",
        "MARTIN LOCKHEED",
        "ENCOMPASS LLC",
        "Encompass",
        "WALT WHITMAN HIGH SCHOOL",
        "SYNTHETIC ENERGY 010 INC",
        "SYNTHETIC ENERGY",
        "INC",
        "THE",
        "",
        "  ",
        "-- N/A --",
        "\u0000",
    ],
)
def test_a_name_that_is_no_companys_or_several_ones_finds_none(directory: Directory, name: str):
    assert directory.symbol_of(name) is None


LISTED = {
    "AMZN": "Amazon", "MO": "Altria", "PM": "Philip Morris International", "KO": "Coca-Cola Company (The)", "LLY": "Lilly (Eli)",
    "CVS": "CVS Health", "HII": "Huntington Ingalls Industries", "GE": "GE Aerospace", "LHX": "L3Harris", "VZ": "Verizon", "BA": "Boeing",
    "CSCO": "Cisco", "XOM": "ExxonMobil", "IBM": "IBM",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("AMAZON.COM SERVICES LLC", "AMZN"),
        ("AMAZON WEB SERVICES, INC.", "AMZN"),
        ("AMAZON CONSERVATION TEAM", None),
        ("PHILIP MORRIS USA INC.", "MO"),
        ("PHILIP MORRIS INTERNATIONAL INC.", "PM"),
        ("THE COCA-COLA COMPANY", "KO"),
        ("COCA-COLA CONSOLIDATED, INC.", None),
        ("COCA-COLA BOTTLING CO. CONSOLIDATED", None),
        ("ELI LILLY AND COMPANY", "LLY"),
        ("CVS HEALTH (AND SUBSIDIARIES)", "CVS"),
        ("HUNTINGTON INGALLS INCORPORATED", "HII"),
        ("GENERAL ELECTRIC COMPANY", "GE"),
        ("GENERAL ELECTRIC CREDIT UNION", None),
        ("L3HARRIS TECHNOLOGIES, INC.", "LHX"),
        ("L3HARRIS MARITIME POWER", "LHX"),
        ("VERIZON BUSINESS NETWORK SERVICES LLC", "VZ"),
        ("VERIZON FOUNDATION", None),
        ("BOEING AEROSPACE OPERATIONS, INC.", "BA"),
        ("BOEING EMPLOYEES CREDIT UNION", None),
        ("CISCO SYSTEMS, INC.", "CSCO"),
        ("CISCO INDEPENDENT SCHOOL DISTRICT", None),
        ("EXXON MOBIL CORPORATION", "XOM"),
        ("INTERNATIONAL BUSINESS MACHINES CORPORATION (IBM)", "IBM"),
    ],
)
def test_a_legal_name_finds_the_company_that_a_list_calls_otherwise(name: str, symbol: str | None):
    assert Directory(LISTED).symbol_of(name) == symbol


def test_another_name_belongs_to_the_company_that_is_listed_by_it():
    both = Directory({"GE": "GE Aerospace", "AMZN": "Amazon.com, Inc. Common Stock", "ZAAA": "General Electric Synthetic"})
    assert [both.symbol_of(name) for name in ("GENERAL ELECTRIC CO", "AMAZON", "AMAZON WATCH")] == ["GE", "AMZN", None]
    assert Directory({"ZAAA": "General Electric Inc.", "GE": "GE Aerospace"}).symbol_of("GENERAL ELECTRIC CO") == "ZAAA"


def test_share_classes_are_one_company_and_stand_for_the_first_class():
    assert Directory({"BRK.B": "Berkshire Hathaway (Class B)", "BRK.A": "Berkshire Hathaway (Class A)"}).symbol_of(
        "BERKSHIRE HATHAWAY INC"
    ) == ("BRK.A")
    assert Directory({"BRK.B": "Berkshire Hathaway (Class B)"}).symbol_of("BERKSHIRE HATHAWAY INC.") == "BRK.B"


def test_an_alias_finds_nothing_where_its_owner_is_not_listed():
    assert Directory({"AAPL": "Apple Inc."}).symbol_of("GOOGLE LLC") is None


def test_an_empty_directory_knows_nobody():
    assert Directory({}).symbol_of("APPLE INC") is None


def test_the_order_of_the_companies_does_not_matter():
    names = ["GOOGLE LLC", "ENCOMPASS", "FOX CORP", "HONEYWELL INTERNATIONAL"]
    backwards = Directory(dict(reversed(COMPANIES.items())))
    assert [backwards.symbol_of(name) for name in names] == [Directory(COMPANIES).symbol_of(name) for name in names]


def test_the_core_of_a_name_is_what_remains_without_its_form():
    assert core_of("Lockheed Martin Corp.") == ("LOCKHEED", "MARTIN")
    assert core_of("Tiffany & Co.") == ("TIFFANY",)
    assert core_of("Trust Co") == ("TRUST", "CO")
    assert words_of("Nestlé S.A.") == ("NESTLE", "SA")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Merck & Co.", "Merck"),
        ("AT&T Inc.", "AT&T"),
        ("Alphabet Inc. (Class A)", "Alphabet"),
        ("Lockheed Martin Corporation Common Stock", "Lockheed Martin"),
        ("McDonald's", "McDonald's"),
        ("Amazon.com, Inc.", "Amazon.com"),
        ("The Home Depot, Inc.", "The Home Depot"),
    ],
)
def test_a_search_asks_for_the_name_without_its_form(name: str, text: str):
    assert search_text(name) == text


def test_a_company_is_searched_by_its_own_name_and_its_subsidiaries(directory: Directory):
    assert directory.searches("Alphabet Inc. (Class A)") == ["Alphabet", "GOOGLE"]
    assert directory.searches("General Dynamics") == ["General Dynamics", "ELECTRIC BOAT", "GULFSTREAM AEROSPACE"]
    assert Directory({}).searches("Apple Inc.") == ["Apple"]
    assert Directory({"XOM": "ExxonMobil"}).searches("ExxonMobil") == ["ExxonMobil", "EXXON MOBIL"]
    assert Directory({"LLY": "Lilly (Eli)"}).searches("Lilly (Eli)") == ["Lilly"]
    assert Directory({"RTX": "RTX Corporation"}).searches("RTX Corporation")[:2] == ["RTX", "RAYTHEON TECHNOLOGIES"]


def test_the_security_that_a_broker_appends_to_a_name_does_not_matter():
    listed = Directory(
        {"AAPL": "Apple Inc. Common Stock", "GOOG": "Alphabet Inc. Class C Capital Stock", "GOOGL": "Alphabet Inc. Class A Common Stock"}
    )
    assert listed.symbol_of("APPLE INC") == "AAPL"
    assert listed.symbol_of("ALPHABET INC") == "GOOGL"

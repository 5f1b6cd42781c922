"""Dates read from prose, and the binary events that four services tell of."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from scrapers import clinical_trials, edgar_search, refusal_letters
from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.press_dates import dates_beside, named_dates
from scrapers.sources import biotech_events
from tests.sources.canned import case

PDUFA = re.compile("PDUFA|target action date", re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "day", "precision"),
    [
        ("December 19, 2026", date(2026, 12, 19), "day"),
        ("Dec. 19 2026", date(2026, 12, 19), "day"),
        ("Sept. 3rd, 2027", date(2027, 9, 3), "day"),
        ("in March of 2027", date(2027, 3, 1), "month"),
        ("May 2027", date(2027, 5, 1), "month"),
    ],
)
def test_a_date_in_prose_is_read_with_its_precision(text: str, day: date, precision: str):
    assert [(n.day, n.precision) for n in named_dates(f"It is {text}.")] == [(day, precision)]


@pytest.mark.parametrize("text", ["February 30, 2027", "Foobar 3, 2026", "the second half of 2027", "March 5", "12/19/2026", "Phase 2027"])
def test_what_is_no_date_is_passed_over(text: str):
    assert list(named_dates(text)) == []


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("a PDUFA date of June 5, 2027. Earnings are on May 1, 2027.", [date(2027, 6, 5)]),
        ("By June 5, 2027, the PDUFA date, we will know", [date(2027, 6, 5)]),
        ("We have a PDUFA date. Results came on May 1, 2027.", []),
        ("PDUFA date of June 5, 2027 for A and a target action date of July 6, 2027 for B", [date(2027, 6, 5), date(2027, 7, 6)]),
        ("the PDUFA date is June 5, 2027; as said, the PDUFA date is June 5, 2027", [date(2027, 6, 5)]),
    ],
)
def test_the_date_of_a_phrase_is_that_of_its_own_sentence(text: str, days: list[date]):
    assert [named.day for named, _ in dates_beside(text, PDUFA)] == days


def test_the_quote_holds_the_words_and_the_date_and_is_short():
    text = "x " * 400 + "a PDUFA date of June 5, 2027 " + "y " * 400
    ((_, quote),) = dates_beside(text, PDUFA)
    assert "PDUFA date of June 5, 2027" in quote
    assert len(quote) <= 300


def test_markup_scripts_and_entities_are_no_prose():
    assert edgar_search.prose("<p>A&nbsp;&amp; B</p><script>PDUFA</script><style>x</style><b>C") == "A & B C"


@pytest.mark.parametrize(
    ("name", "company", "symbol"),
    [
        ("Ultragenyx Pharmaceutical Inc.  (RARE)  (CIK 0001515673)", "Ultragenyx Pharmaceutical Inc.", "RARE"),
        ("BERKSHIRE HATHAWAY INC  (BRK-A, BRK-B)  (CIK 0001067983)", "BERKSHIRE HATHAWAY INC", "BRK.A"),
        ("Synthetic Private Corp  (CIK 0000000043)", "Synthetic Private Corp", None),
    ],
)
def test_company_and_ticker_are_inside_the_display_name(name: str, company: str, symbol: str | None):
    hit = {"_id": "0001193125-26-332802:a.htm", "_source": {"display_names": [name], "file_date": "2026-08-06"}}
    (found,) = edgar_search.parse_hits([hit])
    assert not isinstance(found, Reject)
    assert (found.company, found.symbol) == (company, symbol)


def test_a_month_is_its_first_day_with_the_precision_said():
    assert clinical_trials.partial_date("2026-11") == (date(2026, 11, 1), "month")
    assert clinical_trials.partial_date("2026-11-30") == (date(2026, 11, 30), "day")
    assert clinical_trials.partial_date("2026") == (None, "")


def test_nothing_is_asked_of_the_studies_when_their_data_did_not_change():
    saved = case("clinicaltrials", "unchanged")
    assert list(saved.batches()) == []
    assert saved.missing == []


def test_a_study_whose_state_changes_keeps_its_key():
    (before,) = (r for b in case("clinicaltrials", "normal").batches() for r in b.rows.to_pylist() if r["reference_id"] == "NCT03540771")
    (after,) = (r for b in case("clinicaltrials", "backfill").batches() for r in b.rows.to_pylist() if r["reference_id"] == "NCT03540771")
    assert all(before[name] == after[name] for name in biotech_events.DATASET.key)


def test_history_is_known_from_the_end_of_its_day_and_approvals_a_week_later():
    for source, lag in (("clinicaltrials", 1), ("edgar_8k", 1), ("federal_register_adcom", 1), ("openfda", 8)):
        for batch in case(source, "backfill").batches():
            for row in batch.rows.to_pylist():
                assert row["known_at"].date() - row["published"] == timedelta(days=lag), source
                assert row["known_at"] <= datetime(2026, 11, 21, tzinfo=UTC)


def test_a_page_without_a_single_study_has_changed():
    with pytest.raises(SourceChanged):
        clinical_trials.parse_page({"studies": [{"protocol": {}}] * 3})


@pytest.mark.parametrize(("source", "events"), [("clinicaltrials", 2), ("openfda", 1), ("federal_register_adcom", 1)])
def test_a_saved_answer_is_imported_by_its_content(tmp_path: Path, source: str, events: int):
    answers = [a for a in case(source, "normal").document["answers"] if "version" not in a["url"]]
    path = tmp_path / "answer"
    path.write_text(answers[0]["text"])
    (batch,) = biotech_events.load([path])
    assert batch.rows.num_rows == events
    assert all(at is not None for at in batch.rows.column("known_at").to_pylist())


def test_another_file_is_refused_with_the_shapes_there_are(tmp_path: Path):
    path = tmp_path / "f.json"
    path.write_text('{"hits": {}}')
    with pytest.raises(BadFile, match="drugsfda"):
        list(biotech_events.load([path]))


FILED = date(2026, 8, 6)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("SYN Receives Complete Response Letter for Synthetica", FILED),
        ("The FDA has issued a Complete Response Letter (CRL) on August 4, 2026.", date(2026, 8, 4)),
        ("There is a PDUFA date. The FDA may issue a Complete Response Letter.", None),
        ("A Complete Response Letter could be received.", None),
        ("A risk is whether a complete response letter is issued", None),
        ("We resubmitted our NDA after the Complete Response Letter received in May 2025.", None),
        ("It received a Complete Response Letter on June 3, 2025.", None),
    ],
)
def test_a_letter_that_may_come_or_came_long_ago_is_no_event(text: str, day: date | None):
    found = refusal_letters.told(text, FILED)
    assert (found[0] if found else None) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("8 November 2026", date(2026, 11, 8)),
        ("NOVEMBER 8,2026", date(2026, 11, 8)),
        ("December 10-11, 2026", date(2026, 12, 10)),
        ("December 10 th , 2026", date(2026, 12, 10)),
        ("July 14 and 15, 2026", date(2026, 7, 14)),
    ],
)
def test_days_are_read_in_other_usual_spellings(text: str, day: date):
    assert [(n.day, n.precision) for n in named_dates(f"It is {text}.")] == [(day, "day")]


def test_abbreviations_end_no_sentence_and_a_semicolon_ends_a_clause():
    assert [n.day for n, _ in dates_beside("PDUFA date under the U.S. Priority Review of June 5, 2027", PDUFA)] == [date(2027, 6, 5)]
    assert dates_beside("A meeting is on June 5, 2027; the PDUFA date is unknown", PDUFA) == []


def test_a_saved_approval_is_known_a_week_after_its_day(tmp_path: Path):
    path = tmp_path / "answer.json"
    path.write_text(case("openfda", "normal").document["answers"][0]["text"])
    (batch,) = biotech_events.load([path])
    for row in batch.rows.to_pylist():
        assert row["known_at"].date() - row["published"] == timedelta(days=8)


@pytest.mark.parametrize(
    "text",
    [
        '{"totalCount": 0, "studies": []}',
        '{"error": {"code": "NOT_FOUND", "message": "No matches found!"}}',
        '{"meta": {"results": {"skip": 0, "limit": 100, "total": 0}}, "results": []}',
        '{"count": 0, "total_pages": 0, "results": []}',
    ],
)
def test_a_saved_answer_without_a_match_holds_no_rows(tmp_path: Path, text: str):
    path = tmp_path / "answer.json"
    path.write_text(text)
    assert [batch for batch in biotech_events.load([path]) if batch.rows.num_rows or batch.rejects] == []

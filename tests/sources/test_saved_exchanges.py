"""Every saved exchange gives the rows that stand beside it, by the real client."""

import pytest

from scrapers import errors
from tests.sources.canned import Case, cases, matches, plain

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{c.folder.parent.name}-{c.folder.name}" for c in CASES])
def test_the_saved_answers_give_the_rows_beside_them(case: Case):
    if wanted := case.document.get("error"):
        with pytest.raises(getattr(errors, wanted)):
            list(case.batches())
        return
    batches = list(case.batches())
    assert case.missing == [], "the source asked for something that the case does not hold"
    assert [a["url"] for a in case.unused if not a.get("repeat")] == [], "the source left an answer unasked"
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    left = list(rows)
    for expected in case.document["rows"]:
        found = next((row for row in left if matches(row, expected)), None)
        assert found is not None, f"no row like {expected} among {[{k: plain(r.get(k)) for k in expected} for r in left]}"
        left.remove(found)
    assert left == []
    assert sorted(r.reason for batch in batches for r in batch.rejects) == case.document.get("rejects", [])

"""The journal survives torn writes and notices damage."""

import pytest

from execution.exchange.journal import Journal, JournalCorrupt, JournalInUse


def written(path, *records):
    journal = Journal(path)
    for record in records:
        journal.append(record)
    journal.close()


def read(path):
    journal = Journal(path)
    records = list(journal.replay())
    journal.close()
    return records


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "state" / "journal"
    written(path, {"op": "a"}, {"op": "b", "text": "ü\nline"})
    assert read(path) == [{"op": "a"}, {"op": "b", "text": "ü\nline"}]


def test_a_last_line_torn_at_any_byte_is_cut_off_and_the_file_can_be_continued(tmp_path):
    path = tmp_path / "journal"
    written(path, {"op": "first"}, {"op": "second"})
    whole = path.read_bytes()
    end_of_first = whole.index(b"\n") + 1
    for length in range(end_of_first, len(whole)):
        path.write_bytes(whole[:length])
        journal = Journal(path)
        assert list(journal.replay()) == [{"op": "first"}]
        journal.append({"op": "third"})
        journal.close()
        assert read(path) == [{"op": "first"}, {"op": "third"}]


def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "journal"
    written(path, {"op": "first"}, {"op": "second"}, {"op": "third"})
    path.write_bytes(path.read_bytes().replace(b"second", b"sEcond"))
    with pytest.raises(JournalCorrupt, match="line 2"):
        Journal(path)


def test_an_empty_file_is_an_empty_journal(tmp_path):
    path = tmp_path / "journal"
    path.touch()
    assert read(path) == []


def test_a_journal_has_one_writer_at_a_time(tmp_path):
    path = tmp_path / "journal"
    first = Journal(path)
    with pytest.raises(JournalInUse, match="another exchange"):
        Journal(path)
    first.close()
    Journal(path).close()

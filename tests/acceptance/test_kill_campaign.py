"""A daemon that is killed while it trades loses nothing, sends nothing twice, and takes up its work again."""

from pathlib import Path

import pytest

from tests.acceptance.kill_campaign import run, summary

KILLS = 5


@pytest.mark.timeout(240)
def test_a_daemon_killed_again_and_again_ends_with_books_equal_to_the_exchange(tmp_path: Path) -> None:
    campaign = run(KILLS, seed=2024, state=tmp_path / "state", say=lambda _line: None)
    assert not campaign.violations, summary(campaign)
    assert campaign.orders > 0, "the campaign proved nothing: no order was sent"

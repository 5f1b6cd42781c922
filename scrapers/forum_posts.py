"""Posts of a forum, and the row that counts what they mention."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from scrapers import sentiment, tables
from scrapers.base import Reject
from scrapers.tickers_in_text import Tickers

SUBMISSION, COMMENT = "t3", "t1"
KINDS = {SUBMISSION: "submission", COMMENT: "comment"}
ID = re.compile(r"[0-9a-z]{1,13}")
"""A post's number in base 36."""
_DELETED = {"[deleted]", "[removed]"}
_BOTS = {"automoderator", "visualmod"}
_BEGINNING = 1_100_000_000.0
_LAST = 4_100_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForumMentions:
    """How often a symbol is mentioned in an item of a forum: in one post, or in a count over many.

    origin: reddit (item_id is the post's full name, `t3_` or `t1_` and base 36), apewisdom (a snapshot), day_counts (an archive).
    kind: submission, comment, snapshot or day. mentions: 1 for a post, however often it repeats the symbol. mentions_before: the same
    count over the window before. window_hours: what a count spans; None for a post.
    upvotes: score of a post, or the sum of a count; None where it was read later than the row was known. rank: from 1, by mentions.
    cashtag, in_title: the symbol stood somewhere with a dollar sign, or in the title; None for a count.
    sentiment: VADER's compound score of the post, or its mean, from -1 to 1. Authors and texts are not kept.
    """

    origin: str
    forum: str
    item_id: str
    symbol: str
    kind: str
    mentions: int
    mentions_before: int | None
    upvotes: int | None
    rank: int | None
    cashtag: bool | None
    in_title: bool | None
    sentiment: float | None
    window_hours: int | None


KEY = ("origin", "forum", "item_id", "symbol")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A submission or comment. gone: its author or a moderator took it back. edited_at: when the text was last changed."""

    name: str
    kind: str
    forum: str
    author: str
    title: str
    text: str
    created_at: datetime
    edited_at: datetime | None
    score: int | None
    gone: bool

    @property
    def by_bot(self) -> bool:
        """Written by a program, as far as its name tells."""
        author = self.author.lower()
        return author in _BOTS or author.endswith("bot")

    @property
    def may_have_lost_mentions(self) -> bool:
        """Taken back or edited: an earlier reading may have found more in it."""
        return self.gone or self.edited_at is not None


class _Refused(ValueError):
    """A record that is no post."""


def post(kind: object, record: object, at: str) -> Post | Reject:
    """A post from Reddit's record of it. kind: `t3` or `t1`. A record of another shape is a Reject, `not_a_post`."""
    try:
        if not isinstance(record, dict) or not isinstance(kind, str) or kind not in KINDS:
            raise _Refused(f"a submission or comment was expected, not {str(kind)[:40]}")
        return _post(kind, record)
    except _Refused as refused:
        return tables.reject("not_a_post", str(refused), record, at)


def _post(kind: str, record: dict[str, Any]) -> Post:
    title = _text(record, "title") if kind == SUBMISSION else ""
    text = _text(record, "body") if kind == COMMENT else _or(record.get("selftext"), "")
    author, forum = _or(record.get("author"), "[deleted]"), _or(record.get("subreddit"), "")
    name, score = record.get("id"), record.get("score")
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise _Refused(f"id {str(name)[:40]!r}")
    if not all(isinstance(value, str) for value in (text, author, forum)):
        raise _Refused("text, author or subreddit is no text")
    if isinstance(score, bool) or not isinstance(score, int | None) or abs(score or 0) >= 2**63:
        raise _Refused(f"score {str(score)[:40]!r}")
    return Post(
        name=f"{kind}_{name}",
        kind=kind,
        forum=forum.lower(),
        author=author,
        title=title,
        text=text,
        created_at=_instant(record.get("created_utc"), "created_utc"),
        edited_at=None if isinstance(record.get("edited"), bool | None) else _instant(record["edited"], "edited"),
        score=score,
        gone=author == "[deleted]" or text.strip() in _DELETED or record.get("removed_by_category") is not None,
    )


def _or(value: Any, instead: str) -> Any:
    """Reddit leaves the field out, or has null in it, where there is nothing to say."""
    return instead if value is None else value


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise _Refused(f"{name} is no text")
    return value


def _instant(value: object, name: str) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _BEGINNING < value < _LAST:
        raise _Refused(f"{name} {str(value)[:40]!r} is no time in seconds")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)


def rows(one: Post, tickers: Tickers, *, archived: bool) -> Iterator[tables.Timed]:
    """A row for each symbol that a post names; none for one that was taken back or that a program wrote.

    archived: known from the post's publication, or its last edit, and without a score, which was counted later than that.
    """
    if one.gone or one.by_bot:
        return
    mentions = tickers.mentions(one.title, one.text)
    tone = sentiment.compound(f"{one.title}\n{one.text}") if mentions else None
    known_at = max(one.created_at, one.edited_at or one.created_at) if archived else None
    for mention in mentions:
        row = ForumMentions(
            origin="reddit",
            forum=one.forum,
            item_id=one.name,
            symbol=mention.symbol,
            kind=KINDS[one.kind],
            mentions=1,
            mentions_before=None,
            upvotes=None if archived else one.score,
            rank=None,
            cashtag=mention.cashtag,
            in_title=mention.in_title,
            sentiment=tone,
            window_hours=None,
        )
        yield tables.Timed(row=row, event_at=one.created_at, known_at=known_at)


def withdrawn(posts: Iterable[Post], found: set[tuple[str, str]], stored: Iterable[Mapping[str, Any]]) -> Iterator[tables.Timed]:
    """Withdrawals of mentions that posts no longer contain, since they were deleted or edited.

    found: (item_id, symbol) of what they mention now. stored: the rows that are in force, with their `event_at`.
    """
    changed = {one.name for one in posts if one.may_have_lost_mentions}
    for record in stored:
        if record["item_id"] in changed and (record["item_id"], record["symbol"]) not in found:
            cells = {name: _cell(name, record[name]) for name in ForumMentions.__slots__}
            yield tables.Timed(row=ForumMentions(**cells), event_at=record["event_at"], known_at=None, gone=True)


_COUNTS = {"mentions", "mentions_before", "upvotes", "rank", "window_hours"}


def _cell(name: str, value: Any) -> Any:
    """A cell of a data frame as a row has it: counts are whole, a missing value is None."""
    if value is None or value != value or str(value) == "<NA>":
        return None
    plain = value.item() if hasattr(value, "item") else value
    return int(plain) if name in _COUNTS else plain

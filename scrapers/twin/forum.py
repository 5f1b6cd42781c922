"""An invented forum over the generated companies: submissions, a daily thread, comments, and all that goes wrong with posts."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from scrapers.twin.world import World

NAME = "wallstreetbets"
STREAM = 940
SUBMISSIONS, COMMENTS, LIFT = 48, 160, 12.0
"""A day's posts, and how much more often than others a stock in full heat is mentioned."""
THREAD_HOUR = 11
TITLES = (
    "{t} to the moon", "Why ${t} is going higher", "YOLO: my whole account in {t} calls", "DD: {t} is undervalued and here is why",
    "Bought the dip on {t} again", "{t} earnings next week, what are your moves", "ALL IN, AMA", "Is ${t} dead?",
)  # fmt: skip
TEXTS = (
    "I love {t}, great company, holding.", "${t} puts printed, terrible quarter.", "Who else is buying {t} here? THE DIP IS REAL",
    "$" + "{low} looks good to me", "> {u} is trash\n\nNo way, {t} is worse.",
    "Not selling my {t} shares. CEO is great, IMO best in the sector.",
    "HODL", "What do you think about {t} or {u}? See https://example.org/{u}/chart", "I have no idea what I am doing, I lost it ALL",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A post as it will have been: when it was written, edited (0: never) and taken back (0: never), seconds since 1970."""

    kind: str
    number: int
    author: str
    title: str
    text: str
    later_text: str
    created: int
    edited: int
    deleted: int
    removed: bool
    score: int
    thread: str
    pinned: bool = False

    @property
    def name(self) -> str:
        """Full name: kind and base 36 number."""
        return f"{self.kind}_{base36(self.number)}"


def base36(number: int) -> str:
    """Digits 0 to 9, then a to z."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


class Board:
    """The forum. A day's posts depend on the world's seed, the day, and the heat of its session alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._symbols = [asset.symbol for asset in world.stocks()]
        self._kept = lru_cache(maxsize=64)(self._made)

    def newest(self, kind: str, now: datetime, limit: int) -> list[Item]:
        """The newest posts of a kind, newest first, at most `limit`, none of them older than 40 days."""
        found: list[Item] = []
        seconds, day = int(now.timestamp()), now.astimezone(UTC).date()
        for back in range(40):
            found += [item for item in self._kept(day - timedelta(days=back)) if item.kind == kind and item.created <= seconds]
            if len(found) >= limit or day - timedelta(days=back) <= self._world.sessions[0]:
                break
        return found[:limit]

    def threads(self, now: datetime) -> list[Item]:
        """The pinned thread of the day; before it opens, yesterday's."""
        return [item for item in self.newest("t3", now, 2 * SUBMISSIONS + 2) if item.pinned][:1]

    def _made(self, day: date) -> list[Item]:
        """The posts of a day of UTC, newest first."""
        rng = np.random.default_rng([self._world.seed, STREAM, day.toordinal()])
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        session = self._world.index(day)
        weight = 1.0 + LIFT * (self._world.heat("forum")[session] if session >= 0 else np.zeros(len(self._symbols)))
        chance = weight / weight.sum()
        thread = self._thread(day, start)
        yesterday = f"t3_{base36((day.toordinal() - 1) * 1000 + 999)}"
        items = [thread]
        for kind, count in (("t3", SUBMISSIONS), ("t1", COMMENTS)):
            times = np.sort(rng.integers(0, 86_400, count)).tolist()
            named = rng.choice(len(self._symbols), size=(count, 2), p=chance).tolist()
            dice = rng.integers(0, 1000, (count, 3)).tolist()
            for place in range(count):
                tickers = (self._symbols[named[place][0]], self._symbols[named[place][1]])
                pinned = thread.name if start + times[place] >= thread.created else yesterday
                items.append(_item(kind, day.toordinal() * 1000 + place, start + times[place], tickers, dice[place], pinned))
        return sorted(items, key=lambda item: (item.created, item.number), reverse=True)

    def _thread(self, day: date, start: int) -> Item:
        kind = "Weekend" if day.weekday() >= 5 else "Daily"
        return Item(
            kind="t3", number=day.toordinal() * 1000 + 999, author="Synthetic_Thread_Opener", pinned=True,
            title=f"{kind} Discussion Thread for {day:%B %d, %Y}", text="Your daily thread. Be kind.", later_text="",
            created=start + THREAD_HOUR * 3600, edited=0, deleted=0, removed=False, score=300, thread="",
        )  # fmt: skip


def _item(kind: str, number: int, created: int, tickers: tuple[str, str], dice: list[int], thread: str) -> Item:
    """One post; dice: three numbers from 0 to 999 that choose its words, its fate and its thread."""
    words = {"t": tickers[0], "u": tickers[1], "low": tickers[0].lower()}
    text = TEXTS[dice[0] % len(TEXTS)].format(**words)
    fate, other = dice[1], dice[2]
    in_thread = kind == "t1" and other < 600
    return Item(
        kind=kind,
        number=number + (10**9 if kind == "t1" else 0),
        author="AutoModerator" if fate < 20 else "Synthetic_News_Bot" if fate < 30 else f"Synthetic_User_{fate:03d}",
        title=TITLES[other % len(TITLES)].format(**words) if kind == "t3" else "",
        text="" if kind == "t3" and fate % 3 == 0 else text,
        later_text=f"{text}\n\nEDIT: I meant ${tickers[1]}",
        created=created,
        edited=created + 3 * 3600 if 30 <= fate < 60 else 0,
        deleted=created + 5 * 3600 if 60 <= fate < 90 else created + 600 if 90 <= fate < 110 else 0,
        removed=90 <= fate < 110,
        score=1 + fate % 40,
        thread=thread if in_thread else f"t3_{base36(number // 1000 * 1000 + other % SUBMISSIONS)}" if kind == "t1" else "",
    )


def record(item: Item, now: datetime, replies: object = "") -> dict[str, Any]:
    """The post as Reddit shows it at an instant: its score grows for a day, and texts change and vanish."""
    seconds = int(now.timestamp())
    gone, edited = 0 < item.deleted <= seconds, 0 < item.edited <= seconds
    mark = "[removed]" if item.removed else "[deleted]"
    text = mark if gone else item.later_text if edited else item.text
    score = max(1, item.score * min(seconds - item.created, 86_400) // 86_400)
    common = {
        "id": base36(item.number), "name": item.name, "subreddit": "wallstreetbets", "author": "[deleted]" if gone else item.author,
        "created_utc": float(item.created), "score": score, "ups": score, "stickied": item.pinned,
        "edited": float(item.edited) if edited and not gone else False,
    }  # fmt: skip
    if item.kind == "t1":
        return common | {"body": text, "link_id": item.thread, "parent_id": item.thread, "controversiality": 0, "replies": replies}
    category = ("moderator" if item.removed else "deleted") if gone else None
    own = {
        "is_self": True,
        "over_18": False,
        "upvote_ratio": 0.9,
        "num_comments": 0,
        "link_flair_text": None,
        "removed_by_category": category,
    }
    permalink = f"/r/{NAME}/comments/{base36(item.number)}/synthetic/"
    return common | own | {"title": item.title, "selftext": text, "permalink": permalink, "url": f"https://www.reddit.com{permalink}"}

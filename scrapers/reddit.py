"""Reddit's listings through PRAW, whose requests travel over our own client."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scrapers import forum_posts, rates
from scrapers.base import Reject
from scrapers.errors import SourceChanged, SourceRefused, SourceUnavailable
from scrapers.forum_posts import Post

if TYPE_CHECKING:
    from scrapers.http import Http, Response

WEB, API = "https://www.reddit.com", "https://oauth.reddit.com"
TOKEN = f"{WEB}/api/v1/access_token"
RATE = rates.REDDIT
PAGE = 100
MAX_PAGES = 30
"""A listing ends after about 1000 posts, in pages of at most 100."""
THREAD_COMMENTS = 500
AGENT = "allocd"
_TOKEN = re.compile(r"[!-~]{1,4096}")
_THREADS = ("daily discussion", "what are your moves", "weekend discussion")
_ALLOWANCE = "x-ratelimit-"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with the names that PRAW reads. Headers of the rate limit are left out: the pace is our own client's affair, and
    PRAW would sleep by the wall clock."""

    response: "Response"

    @property
    def status_code(self) -> int:
        """HTTP status."""
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        return {name: value for name, value in self.response.headers.items() if not name.startswith(_ALLOWANCE)}

    @property
    def text(self) -> str:
        """The body."""
        return self.response.text()

    def json(self) -> Any:
        """The body as JSON; SourceChanged when it is something else."""
        return self.response.json()


class Requestor:
    """What PRAW sends its requests through.

    The client adds the application's credentials to requests to www.reddit.com: those that PRAW was given stand in for them and are
    dropped here. The token that it gets goes to oauth.reddit.com with each request. Archives keep the answer without the token.
    """

    def __init__(self, *, http: "Http", source: str, oauth_url: str, reddit_url: str, user_agent: str, timeout: float = 0.0) -> None:
        self.oauth_url, self.reddit_url, self.timeout = oauth_url, reddit_url, timeout
        self._http, self._source, self._spent = http, source, ""

    def request(self, method: str, url: str, **asked: Any) -> Answer:
        """GET a listing or POST for a token. Raises as `Http.get`, and SourceUnavailable when Reddit's allowance is used up."""
        if self._spent:
            raise SourceUnavailable(f"{url.partition('?')[0]}: the allowance is used up for another {self._spent} s")
        if method.upper() == "POST":
            return self._token(dict(asked.get("data") or ()))
        headers = {name: value for name, value in (asked.get("headers") or {}).items() if name == "Authorization"}
        answer = self._http.get(url, asked.get("params"), source=self._source, rate=RATE, headers=headers)
        self._spent = _wait(answer.headers)
        return Answer(answer)

    def _token(self, form: dict[str, str]) -> Answer:
        answer = self._http.post(TOKEN, form=form, source=self._source, rate=RATE, redact=("access_token",))
        given = answer.json()
        if isinstance(given, dict) and "error" in given:
            raise SourceRefused(f"{TOKEN}: {str(given['error'])[:100]}")
        texts = isinstance(given, dict) and all(isinstance(given.get(name), str) for name in ("access_token", "scope"))
        lifetime = given.get("expires_in") if texts else None
        sound = not isinstance(lifetime, bool) and isinstance(lifetime, int) and 0 < lifetime < 10**9
        if not sound or not _TOKEN.fullmatch(given["access_token"]):
            raise SourceChanged(f"{TOKEN}: no access_token with scope and expires_in in the answer")
        return Answer(answer)

    def close(self) -> None:
        """Nothing: the client outlives PRAW."""


def _wait(headers: Mapping[str, str]) -> str:
    """Seconds until there is a new allowance, when nothing is left of this one; else empty."""
    try:
        left = float(headers.get(f"{_ALLOWANCE}remaining", "1"))
    except ValueError:
        return ""
    return headers.get(f"{_ALLOWANCE}reset", "some") if left < 1.0 else ""


class Forum:
    """One forum, read only.

    Of PRAW its session is used: the token, its renewal, the paths. Its objects are not: they ask again, unseen, for whatever a record
    lacks, where a record that lacks something ought to be refused.
    """

    def __init__(self, http: "Http", name: str, *, source: str) -> None:
        import praw

        self.name = name
        self._reddit = praw.Reddit(
            client_id=AGENT,
            client_secret=AGENT,
            user_agent=f"{AGENT}/1.0",
            username=None,
            password=None,
            refresh_token=None,
            reddit_url=WEB,
            oauth_url=API,
            check_for_updates=False,
            check_for_async=False,
            requestor_class=Requestor,  # type: ignore[arg-type]  # it has all that PRAW calls
            requestor_kwargs={"http": http, "source": source},
        )

    def newest(self, listing: str, since: datetime) -> Iterator[Post | Reject]:
        """Posts of `new` (submissions) or `comments/`, newest first, down to those before `since` or to the listing's end.

        Raises SourceChanged when a page is no listing, most of its records are no posts, or the pages do not end.
        """
        path, after, seen = f"r/{self.name}/{listing}", "", set[str]()
        for _ in range(MAX_PAGES):
            document = self._ask(path, {"limit": PAGE} | ({"after": after} if after else {}))
            posts = list(posts_of(document, f"{API}/{path}"))
            yield from posts
            after = document["data"].get("after") or ""
            if not isinstance(after, str):
                raise SourceChanged(f"{API}/{path}: `after` is {type(after).__name__}, not the name of a post")
            dated = [one.created_at for one in posts if isinstance(one, Post)]
            if not after or not dated or dated[-1] < since:
                return
            if after in seen:
                raise SourceChanged(f"{API}/{path}: `after` leads back to {after[:40]!r}")
            seen.add(after)
        raise SourceChanged(f"{API}/{path}: more than {MAX_PAGES} pages, a listing ends after about 1000 posts")

    def daily_threads(self) -> list[str]:
        """Identifiers of the pinned threads in which the day is discussed."""
        path = f"r/{self.name}/hot"
        found = []
        for child in _children(self._ask(path, {"limit": PAGE}), f"{API}/{path}"):
            data = child["data"]
            title, number = str(data.get("title") or "").lower(), data.get("id")
            if data.get("stickied") is True and title.startswith(_THREADS):
                if not isinstance(number, str) or not forum_posts.ID.fullmatch(number):
                    raise SourceChanged(f"{API}/{path}: a pinned thread without a number, {str(number)[:40]!r}")
                found.append(number)
        return found

    def comments_on(self, thread: str) -> Iterator[Post | Reject]:
        """The newest comments of a thread and their replies, as far as one answer holds them (about 500)."""
        path = f"comments/{thread}/"
        document = self._ask(path, {"limit": THREAD_COMMENTS, "sort": "new"})
        if not isinstance(document, list) or len(document) != 2:
            raise SourceChanged(f"{API}/{path}: a submission and its comments were expected, found {type(document).__name__}")
        yield from posts_of(document[1], f"{API}/{path}")

    def _ask(self, path: str, params: dict[str, str | int]) -> Any:
        import praw.exceptions
        import prawcore

        try:
            return self._reddit.request(method="GET", path=path, params=params)
        except (prawcore.PrawcoreException, praw.exceptions.PRAWException) as error:
            raise SourceChanged(f"{API}/{path}: {type(error).__name__}: {str(error)[:200]}") from error


def posts_of(listing: object, url: str) -> Iterator[Post | Reject]:
    """Posts of a listing, replies included, in its order. Where it breaks off (`more`) there is nothing.

    Raises SourceChanged when it is no listing, or when most of its records are no posts.
    """
    made = list(_walk(listing, url))
    refused = sum(isinstance(one, Reject) for one in made)
    if 2 * refused > len(made):
        raise SourceChanged(f"{url}: {refused} of {len(made)} records are no posts")
    yield from made


def _walk(listing: object, url: str) -> Iterator[Post | Reject]:
    waiting = [(child, f"{url}[{place}]") for place, child in enumerate(_children(listing, url))][::-1]
    while waiting:
        child, at = waiting.pop()
        if child.get("kind") == "more":
            continue
        yield forum_posts.post(child.get("kind"), child["data"], at)
        if replies := child["data"].get("replies"):
            waiting += [(reply, f"{at}.replies") for reply in _children(replies, at)][::-1]


def _children(listing: object, url: str) -> list[dict[str, Any]]:
    data = listing.get("data") if isinstance(listing, dict) and listing.get("kind") == "Listing" else None
    children = data.get("children") if isinstance(data, dict) else None
    if not isinstance(children, list) or not all(isinstance(c, dict) and isinstance(c.get("data"), dict) for c in children):
        raise SourceChanged(f"{url}: a listing of records was expected, found {type(listing).__name__}")
    return children

"""Yahoo's pages behind a cookie and a crumb: obtained once, renewed once when they are refused."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapers.errors import SourceChanged, SourceRefused
from scrapers.yahoo import BROWSER, RATE, spelling

if TYPE_CHECKING:
    from scrapers.http import Http, Jar

COOKIE = "https://fc.yahoo.com/"
CRUMB = "https://query1.finance.yahoo.com/v1/test/getcrumb"
SUMMARY = "https://query2.finance.yahoo.com/v10/finance/quoteSummary"
MAX_CRUMB = 64


@dataclass(slots=True)
class Session:
    """A visitor of Yahoo's pages."""

    http: "Http"
    source: str
    _jar: "Jar" = field(default_factory=dict)
    _crumb: str = ""

    def module(self, symbol: str, name: str) -> dict[str, Any] | str:
        """One module of a symbol's quote summary, or what Yahoo says in its place when it has no such quote.

        Raises SourceRefused when a new cookie and crumb are refused as well, SourceChanged for another shape.
        """
        url = f"{SUMMARY}/{spelling(symbol)}"
        status, document = self._ask(url, name)
        body = document.get("quoteSummary") if isinstance(document, dict) else None
        if not isinstance(body, dict) or not {"result", "error"} <= set(body):
            raise SourceChanged(f"{url}: answered {status} without `quoteSummary` of result and error")
        error, result = body["error"], body["result"]
        if isinstance(error, dict) and error.get("code") == "Not Found":
            return str(error.get("description"))[:300]
        if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], dict):
            raise SourceChanged(f"{url}: answered {status}, one result was expected, error {str(error)[:200]}")
        module = result[0].get(name)
        if not isinstance(module, dict):
            raise SourceChanged(f"{url}: no module {name} in the result")
        return module

    def _ask(self, url: str, module: str) -> tuple[int, Any]:
        for _ in range(2):
            if not self._crumb:
                self._renew()
            answer = self.http.get(
                url,
                {"modules": module, "crumb": self._crumb},
                source=self.source,
                rate=RATE,
                headers=BROWSER,
                accept=(401, 404),
                jar=self._jar,
            )
            if answer.status != 401:
                return answer.status, answer.json()
            self._crumb = ""
        raise SourceRefused(f"{url}: answered 401 to a new cookie and crumb")

    def _renew(self) -> None:
        """A fresh cookie, which Yahoo sets for all of its hosts whatever it answers, and the crumb that belongs to it."""
        self._jar.clear()
        self.http.get(COOKIE, source=self.source, rate=RATE, headers=BROWSER, accept=(404,), jar=self._jar)
        cookies = self._jar.get(urlsplit(COOKIE).hostname or "", {})
        for url in (CRUMB, SUMMARY):
            self._jar[urlsplit(url).hostname or ""] = dict(cookies)
        answer = self.http.get(CRUMB, source=self.source, rate=RATE, headers=BROWSER, jar=self._jar)
        crumb = answer.text().strip()
        if not 0 < len(crumb) <= MAX_CRUMB or not crumb.isprintable() or any(c in crumb for c in "<>{} "):
            raise SourceChanged(f"{CRUMB}: a crumb was expected, found {len(crumb)} characters beginning {crumb[:20]!r}")
        self._crumb = crumb

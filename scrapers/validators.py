"""Conditional requests: a page that has not changed since it was last stored is not sent again."""

import json
import threading
from collections.abc import Mapping
from typing import Any, Protocol

_CONDITIONS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


class Validators(Protocol):
    """Where the validators of pages are kept: `etag` and `last-modified`, as the service sent them, by page and source."""

    def get(self, key: str, source: str) -> Mapping[str, str]:
        """Those of a page that this source has stored; empty when there are none."""

    def put(self, key: str, source: str, found: Mapping[str, str]) -> None:
        """Keep those of a page in place of earlier ones."""


class Pending:
    """Validators of pages that were fetched and are not stored yet: only `settle` makes them count."""

    def __init__(self, store: Validators | None) -> None:
        self._store, self._new = store, dict[str, dict[str, dict[str, str]]]()
        self._lock = threading.Lock()

    def conditions(self, source: str, key: str) -> dict[str, str]:
        """Request headers that make the service answer 304 for a page that we have."""
        known = self._store.get(key, source) if self._store else {}
        return {condition: known[name] for name, condition in _CONDITIONS.items() if known.get(name)}

    def keep(self, source: str, key: str, headers: Mapping[str, str]) -> None:
        """Remember what a full answer brought, until it is settled."""
        with self._lock:
            self._new.setdefault(source, {})[key] = {name: headers[name] for name in _CONDITIONS if name in headers}

    def settle(self, source: str, *, stored: bool) -> None:
        """Make the source's new validators count, or forget them so that those pages are fetched in full again."""
        with self._lock:
            pages = self._new.pop(source, {})
        if stored and self._store:
            for key, found in pages.items():
                self._store.put(key, source, found)


def page_key(method: str, url: str, asked: Mapping[str, Any]) -> str:
    """What tells one page from every other: method, address and fields."""
    return f"{method} {url} {json.dumps(asked, sort_keys=True, default=str)}"

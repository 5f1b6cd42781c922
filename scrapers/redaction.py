"""What an archive may keep of a request and its answer: everything that parsing needs, and nothing that opens a door."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from scrapers import documents
from scrapers.errors import SourceChanged

REDACTED = "redacted"
KEPT_HEADERS = ("content-type", "etag", "last-modified", "retry-after", "location", "link")
SECRET_FIELDS = frozenset(
    "access_token refresh_token api_key apikey client_secret password crumb csrfmiddlewaretoken csrf_token sessionid signature "
    "x-amz-signature x-amz-credential x-amz-security-token".split()
)
"""Fields of requests that are credentials, whichever service asks for them."""
_SECRET_IN_ADDRESS = re.compile(rf"([?&](?:{'|'.join(map(re.escape, sorted(SECRET_FIELDS)))})=)[^&#>;,\s]*", re.IGNORECASE)


def asked(url: str, *fields: Mapping[str, Any] | None, document: object = None, redact: Collection[str] = ()) -> dict[str, Any]:
    """Query, parameters, form and JSON fields of a request as one mapping; a JSON document that is no object stands under `json`."""
    merged: dict[str, Any] = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for given in fields:
        merged |= given or {}
    if document is not None:
        merged |= document if isinstance(document, dict) else {"json": document}
    hidden: dict[str, Any] = _without(merged, SECRET_FIELDS | {name.lower() for name in redact})
    return hidden


def content(body: bytes, redact: Collection[str]) -> bytes:
    """The body with the values of those JSON keys, at any depth, replaced; one that is not JSON is withheld as a whole."""
    if not redact or not body:
        return body
    try:
        document = documents.json_of(body, "an answer")
    except SourceChanged:
        return REDACTED.encode()
    if not isinstance(document, dict | list):
        return REDACTED.encode()
    return json.dumps(_without(document, {name.lower() for name in redact})).encode()


def headers(received: Mapping[str, str], cookies: Collection[str]) -> dict[str, str]:
    """The headers that parsing needs; of cookies their names alone."""
    kept = {name: _SECRET_IN_ADDRESS.sub(rf"\1{REDACTED}", received[name]) for name in KEPT_HEADERS if name in received}
    return kept | ({"set-cookie": ", ".join(f"{name}={REDACTED}" for name in cookies)} if cookies else {})


def _without(value: Any, names: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: REDACTED if str(key).lower() in names else _without(item, names) for key, item in value.items()}
    return [_without(item, names) for item in value] if isinstance(value, list | tuple) else value

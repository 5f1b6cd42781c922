"""Making text safe for a log line: secrets masked, control characters neutralised."""

import json
import re
from typing import Any, Final
from urllib.parse import quote, quote_plus

MASK: Final = "[redacted]"
MIN_SECRET: Final = 4

_secrets: list[str] = []
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def register_secret(value: str) -> None:
    """From now on `value` is masked in every line, also in its JSON, repr and percent-encoded forms.

    Values shorter than four characters are left alone: masking them would eat ordinary text.
    """
    if len(value) < MIN_SECRET:
        return
    forms = {value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""), quote_plus(value)}
    _secrets.extend(sorted(forms - set(_secrets), key=len, reverse=True))


def masked_text(text: str) -> str:
    """The text with every registered secret replaced by [redacted]."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def masked_json(line: str) -> str:
    """A JSON line with every registered secret masked inside its strings, so that it stays valid JSON."""
    if not any(secret in line for secret in _secrets):
        return line
    return json.dumps(_masked(json.loads(line)), separators=(",", ":"))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {masked_text(key): _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    hidden = masked_text(text)
    return hidden if isinstance(value, str) or hidden != text else value


def plain(text: str) -> str:
    """The text on one line of a terminal: control, bidirectional and zero-width characters shown as escapes."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)

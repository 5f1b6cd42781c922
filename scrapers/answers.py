"""What a service answered: as a source reads it, and as an archive keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scrapers import documents, markup

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A successful answer, wholly read. not_modified: the service answered 304, without content, to a conditional request.

    `url` bears neither query nor credentials; `fetched_at` is UTC; names of `headers` are lower case.
    """

    status: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    fetched_at: datetime
    not_modified: bool = False

    def json(self) -> Any:
        """The body as JSON, NaN as None; SourceChanged when it is something else, too deep, or holds a number that is not finite."""
        return documents.json_of(self.content, self.url, self.headers.get("content-type", ""))

    def xml(self) -> "Element":
        """The body as an XML element; SourceChanged when it is something else, or declares a document type or entities."""
        return markup.xml_of(self.content, self.url)

    def text(self) -> str:
        """The body as text, by byte-order mark, as UTF-8 or by its declared charset; undecodable bytes replaced."""
        return documents.text_of(self.content, self.headers.get("content-type", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One complete answer as an archive keeps it: what was asked, without credentials, cookies or the values of redacted fields.

    group is the rate's. url is the official one and has no query: asked has every parameter, form field and JSON field. headers are
    those that parsing needs (see redaction.KEPT_HEADERS). All of it is plain data; both instants are UTC.
    """

    source: str
    group: str
    method: str
    url: str
    asked: Mapping[str, Any]
    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    started_at: datetime
    fetched_at: datetime

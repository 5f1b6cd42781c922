"""What can go wrong in storage; the class says what to do next.

StoreError
├── DatabaseUnreachable   the server did not answer: says host, database and what to do; retried
├── StorageFull           no room for what must be recorded: free some and start again; nothing recorded is lost
├── DatabaseTooNew        the schema is newer than this program: install the newer allocd; never downgraded
├── SegmentCorrupt        a sealed segment does not match its rows: rebuilt from PostgreSQL
└── TooManyWithdrawn      a delivery lacks too many of the rows in force: nothing is withdrawn; a person looks at the source
"""


class StoreError(Exception):
    """Storage failed."""


class DatabaseUnreachable(StoreError):
    """No connection to the PostgreSQL server."""


class StorageFull(StoreError):
    """No room for what must be recorded."""


class DatabaseTooNew(StoreError):
    """The database was migrated by a newer program."""


class SegmentCorrupt(StoreError):
    """A sealed segment is unreadable or does not match its rows."""


class TooManyWithdrawn(StoreError):
    """A delivery lacks so many of the rows in force that it is taken for a truncated one."""

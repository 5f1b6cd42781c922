"""Private windows on the files of a base: what stays as it is on disk is not copied, and what is added goes to pages of one's own."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

OFFSET_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file with the values of a column, and room for more of them behind.

    begin: where its numbers begin, or the offsets of its text, in bytes; room: how many fit. letters, letters_room: the same of the
    text's bytes.
    """

    path: Path
    begin: int
    room: int
    letters: int = 0
    letters_room: int = 0

    def numbers(self, start: int, count: int, kind: np.dtype[Any]) -> npt.NDArray[Any] | None:
        """So many numbers from a row on, to be written to. None when there is no room for them."""
        if start + count > self.room:
            return None
        mapped = self._mapped()
        return None if mapped is None else np.frombuffer(mapped, kind, count, self.begin + start * kind.itemsize)

    def text(self, start: int, stop: int, rest: pa.LargeStringArray) -> pa.LargeStringArray | None:
        """The text of some rows without nulls, followed by other text. None when there is no room, and for text with nulls."""
        count = stop - start + len(rest)
        mapped = None if start + count > self.room or rest.null_count else self._mapped()
        if mapped is None:
            return None
        offsets = np.frombuffer(mapped, np.int64, count + 1, self.begin + start * OFFSET_BYTES)
        theirs = np.frombuffer(rest.buffers()[1], np.int64)[rest.offset : rest.offset + len(rest) + 1]
        at, size = int(offsets[stop - start]), int(theirs[-1] - theirs[0])
        if at + size > self.letters_room:
            return None
        letters = np.frombuffer(mapped, np.uint8, self.letters_room, self.letters)
        letters[at : at + size] = np.frombuffer(rest.buffers()[2], np.uint8)[theirs[0] : theirs[-1]]
        offsets[stop - start :] = theirs + (at - theirs[0])
        return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))

    def _mapped(self) -> mmap.mmap | None:
        """The file, each page copied when it is written to; None when a newer base has taken its place."""
        try:
            with self.path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except FileNotFoundError:
            return None

"""A dataset's versions up to an id, laid out for views: one memory-mapped file per column.

For frames the versions that stand come first (the newest of their keys, unless withdrawn), sorted by known_at, row_key, id, and then the
others, sorted likewise; so that the present is one stretch of each file. For the panel of bars all are sorted by known_at, row_key, id.

A directory `base-<last id>` holds `<column>.arrow` for each column, `<column>.words.arrow` with the distinct texts of a column that has
few, `<column>.valid.arrow` for numbers with nulls, files of its own and `content.json`. It is written under a temporary name, fsynced
and renamed; it holds nothing that the segments do not, and is made again from them at any time.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daemon.store.column import TEXT, Column, coded, column
from daemon.store.errors import SegmentCorrupt
from daemon.store.keys import NEVER, Ints, KeyIndex, key_hashes, sort_order
from daemon.store.private import Source

FORMAT, READABLE = 2, (1, 2)
"""Format 1 has no room behind its values, and a view of it and of newer versions copies what it hands out."""
ROOM_ROWS, ROOM_FROM = 65_536, 500_000
"""Behind the values of a base from so many rows on there is room for more, so that a view adds the newest to a private window on a file."""
CONTENT = "content.json"
OWN = SUPERSEDED, SLOTS, HASHES, PLACES = "_superseded", "_slots", "_key_hashes", "_key_places"
KINDS = {"id": "int", "row_key": "text", "known_at": "instant"}
"""The columns that sort the others, and their kinds."""
Read = Callable[[list[str]], pa.Table]
"""The named columns of all versions, in the order of their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """Versions of a dataset, read from their files when they are touched.

    standing: how many of them stand, the first ones. Of each of the others: superseded_us is when the next version of its key becomes
    known, NEVER for a withdrawal that is the newest; slots is how many of those standing sort before it. index: the versions of a key.
    words: the distinct values of text columns that have few. A base for the panel has only columns, texts of few words as codes.
    """

    last_id: int
    rows: int
    standing: int
    columns: dict[str, Column]
    words: dict[str, pa.LargeStringArray]
    superseded_us: Ints
    slots: Ints
    index: KeyIndex

    @property
    def known_us(self) -> Ints:
        """When each version became known."""
        known: Ints = self.columns["known_at"].values
        return known


def build(folder: Path, last_id: int, names: list[str], read: Read, *, for_panel: bool) -> Path:
    """Write the base of versions up to `last_id`. One column is in memory at a time, beside what sorts them."""
    target = folder / f"base-{last_id:012d}"
    draft = folder / f".base-{last_id:012d}.{os.getpid()}.tmp"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    order, standing = _write_sorted(draft, read, for_panel)
    columns: dict[str, Any] = {name: {"kind": kind} for name, kind in KINDS.items()}
    for name in names:
        if name not in KINDS:
            found = column(read([name]).column(name)).take(order)
            columns[name] = _write(draft, name, coded(found), None if for_panel else found)
    sizes = {path.name: path.stat().st_size for path in draft.iterdir()}
    content = {"format": FORMAT, "last_id": last_id, "rows": len(order), "standing": standing, "columns": columns, "bytes": sizes}
    _flushed(draft / CONTENT, lambda file: file.write(json.dumps(content).encode()))
    sync_directory(draft)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    sync_directory(folder)
    return target


def _write_sorted(draft: Path, read: Read, for_panel: bool) -> tuple[Ints, int]:
    """Write what sorts the versions and how they replace each other; the order of their places, and how many stand."""
    given = read([*KINDS, "gone"])
    found = {name: column(given.column(name)) for name in given.column_names}
    del given
    hashes = key_hashes(found["row_key"].values)
    order = sort_order(found["known_at"].values, found["row_key"].values, found["id"].values, hashes)
    standing = len(order)
    if not for_panel:
        order, standing = _write_succession(draft, {name: value.take(order) for name, value in found.items()}, hashes[order], order)
    for name in KINDS:
        _write(draft, name, found[name].take(order))
    return order, standing


def _write_succession(draft: Path, found: dict[str, Column], hashes: npt.NDArray[np.uint64], order: Ints) -> tuple[Ints, int]:
    """Of sorted versions: the order in which those that stand come first, and how many they are."""
    until = KeyIndex.of(hashes).successors(found["row_key"].values, found["known_at"].values, found["id"].values)
    stands = (until == NEVER) & ~found["gone"].values
    first, others = np.flatnonzero(stands), np.flatnonzero(~stands)
    split = np.concatenate([first, others])
    index = KeyIndex.of(hashes, split)
    for name, values in zip(OWN, (until[others], np.cumsum(stands)[others], index.hashes, index.places), strict=True):
        _write_array(draft / f"{name}.arrow", pa.array(values))
    return order[split], len(first)


def _write(draft: Path, name: str, given: Column, plain: Column | None = None) -> dict[str, Any]:
    """Write a column; as `plain` if that is given, and then only the words of the other."""
    values = given.values if plain is None else plain.values
    if isinstance(values, np.ndarray):
        values = pa.array(values)
    if len(values) >= ROOM_FROM:
        values = pa.concat_arrays([values, _room(values)])
    _write_array(draft / f"{name}.arrow", values)
    if given.words is not None:
        _write_array(draft / f"{name}.words.arrow", given.words)
    if given.valid is not None:
        _write_array(draft / f"{name}.valid.arrow", pa.array(given.valid.astype(np.uint8)))
    shape = {"kind": given.kind, "valid": given.valid is not None, "words": given.words is not None}
    return {**shape, "coded": given.words is not None and plain is None}


def _room(values: pa.Array) -> pa.Array:
    """What is written over later; text half as long again as that before it."""
    if values.type != TEXT:
        return pa.array(np.zeros(ROOM_ROWS, values.type.to_pandas_dtype()))
    return pa.repeat(pa.scalar(" " * (8 + 3 * values.nbytes // (2 * len(values))), TEXT), ROOM_ROWS)


def _write_array(path: Path, values: pa.Array) -> None:
    batch = pa.record_batch({"values": values.cast(pa.uint8()) if pa.types.is_boolean(values.type) else values})

    def write(file: Any) -> None:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)

    _flushed(path, write)


def _flushed(path: Path, write: Callable[[Any], object]) -> None:
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(folder: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def content_of(path: Path) -> dict[str, Any]:
    """What a base says of itself. Raises SegmentCorrupt when it is not whole."""
    try:
        content: dict[str, Any] = json.loads((path / CONTENT).read_bytes())
        whole = content["format"] in READABLE and all((path / name).stat().st_size == size for name, size in content["bytes"].items())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SegmentCorrupt(f"{path}: {error}") from error
    if not whole:
        raise SegmentCorrupt(f"{path} is not whole")
    return content


def open_base(path: Path) -> Compacted:
    """Map a base. Raises SegmentCorrupt when it is not whole."""
    content = content_of(path)
    try:
        words = {name: _mapped(path / f"{name}.words.arrow") for name, shape in content["columns"].items() if shape.get("words")}
        own = [_numbers(path / f"{name}.arrow") if f"{name}.arrow" in content["bytes"] else np.empty(0, np.int64) for name in OWN]
        return Compacted(
            last_id=int(content["last_id"]),
            rows=int(content["rows"]),
            standing=int(content["standing"]),
            columns={name: _mapped_column(path, name, shape, words, int(content["rows"])) for name, shape in content["columns"].items()},
            words=words,
            superseded_us=own[0],
            slots=own[1],
            index=KeyIndex(own[2].astype(np.uint64, copy=False), own[3].astype(np.int32, copy=False)),
        )
    except (OSError, pa.ArrowInvalid, ValueError, KeyError) as error:
        raise SegmentCorrupt(f"{path}: {error}") from error


def _mapped_column(path: Path, name: str, shape: dict[str, Any], words: dict[str, pa.LargeStringArray], rows: int) -> Column:
    file = path / f"{name}.arrow"
    if shape.get("coded"):
        return Column(kind="text", values=_numbers(file)[:rows], words=words[name])
    stored, source = _stored(file)
    if shape["kind"] == "text":
        return Column(kind="text", values=stored.slice(0, rows), source=None if stored.null_count else source)
    values = stored.to_numpy()[:rows]
    valid = _numbers(path / f"{name}.valid.arrow").view(np.bool_) if shape.get("valid") else None
    return Column(kind=shape["kind"], values=values.view(np.bool_) if shape["kind"] == "bool" else values, valid=valid, source=source)


def _mapped(path: Path) -> pa.Array:
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        return reader.get_batch(0).column(0)


def _numbers(path: Path) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = _mapped(path).to_numpy()
    return found


def _stored(path: Path) -> tuple[pa.Array, Source | None]:
    """The values in a file, and where they lie in it; None for text without a letter."""
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        stored = reader.get_batch(0).column(0)
        parts = stored.buffers()[1:]
        if not all(part is not None and part.size for part in parts):
            return stored, None
        file.seek(0)
        first = file.read_buffer(1).address
        begin, *letters = (part.address - first for part in parts)
    size = parts[1].size if letters else 0
    return stored, Source(path=path, begin=begin, room=len(stored), letters=letters[0] if letters else 0, letters_room=size)

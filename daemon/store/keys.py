"""Row keys as numbers, so that millions of them are sorted and looked up quickly; and which version replaces which."""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
NEVER = np.iinfo(np.int64).max
UUID_LENGTH = 36
LEADING = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17)
"""Places of the first sixteen digits in the text of a UUID."""
DIGITS = np.zeros(256, np.uint64)
DIGITS[[*b"0123456789abcdef"]] = np.arange(16)
BLOCK = 500_000


def key_hashes(keys: pa.LargeStringArray) -> Hashes:
    """A number of 64 bits for each row key: of a UUID its first half, so that numbers sort as texts do. Different keys may share one."""
    found = np.empty(len(keys), np.uint64)
    for start in range(0, len(keys), BLOCK):
        found[start : start + BLOCK] = _block_hashes(keys.slice(start, BLOCK))
    return found


def _block_hashes(keys: pa.LargeStringArray) -> Hashes:
    offsets = _offsets(keys)
    if (np.diff(offsets) != UUID_LENGTH).any():
        return np.array([_hash(key) for key in keys.to_pylist()], np.uint64)
    text = np.frombuffer(keys.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(len(keys), UUID_LENGTH)
    found = np.zeros(len(keys), np.uint64)
    for place in LEADING:
        found = (found << np.uint64(4)) | DIGITS[text[:, place]]
    return found


def _offsets(keys: pa.LargeStringArray) -> Ints:
    return np.frombuffer(keys.buffers()[1], np.int64)[keys.offset : keys.offset + len(keys) + 1]


def _hash(key: str) -> int:
    if len(key.encode()) == UUID_LENGTH:
        return int(_block_hashes(pa.array([key], pa.large_string()))[0])
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


def sort_order(known_us: Ints, keys: pa.LargeStringArray, ids: Ints, hashes: Hashes) -> Ints:
    """Places of versions in the order of known_at, row_key, id."""
    if len(keys) and (np.diff(_offsets(keys)) == UUID_LENGTH).all():
        order: Ints = np.lexsort((ids, hashes, known_us))
        tied = (np.diff(known_us[order]) == 0) & (np.diff(hashes[order]) == 0)
        if keys.take(pa.array(order[:-1][tied])).equals(keys.take(pa.array(order[1:][tied]))):
            return order
    table = pa.table({"known": known_us, "key": keys, "id": ids})
    found: Ints = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names]).to_numpy().astype(np.int64)
    return found


def successors(keys: pa.LargeStringArray, known_us: Ints, ids: Ints, hashes: Hashes) -> Ints:
    """When each version is replaced by the next one of its key in the order of known_at, id; NEVER for the newest."""
    order: Ints = np.lexsort((ids, known_us, hashes))
    tied = np.flatnonzero(np.diff(hashes[order]) == 0)
    before, after = order[tied], order[tied + 1]
    unlike = ~pc.equal(keys.take(pa.array(before)), keys.take(pa.array(after))).to_numpy(zero_copy_only=False)
    if unlike.any():
        return successors(keys, known_us, ids, pd.factorize(keys.to_numpy(zero_copy_only=False))[0].astype(np.uint64))
    found = np.full(len(order), NEVER)
    found[before] = known_us[after]
    return found


class KeyIndex:
    """Versions by key hash: `hashes` ascending, `places` of the versions that have them; of one key in their own order."""

    def __init__(self, hashes: Hashes, places: npt.NDArray[np.int32]) -> None:
        self.hashes, self.places = hashes, places

    @classmethod
    def of(cls, hashes: Hashes, split: Ints | None = None) -> "KeyIndex":
        """The index of versions in the order of known_at, row_key, id; with `split`, of where they lie once ordered by that."""
        order = np.argsort(hashes, kind="stable")
        places = order
        if split is not None:
            inverse = np.empty(len(split), np.int64)
            inverse[split] = np.arange(len(split))
            places = inverse[order]
        return cls(hashes[order], places.astype(np.int32))

    def find(self, wanted: Hashes) -> Ints:
        """Places of every version whose hash is among those wanted, ascending."""
        wanted = np.unique(wanted)
        first = np.searchsorted(self.hashes, wanted, side="left")
        found = self.hashes[np.minimum(first, len(self.hashes) - 1)] == wanted if len(self.hashes) else np.zeros(len(wanted), bool)
        wanted, first = wanted[found], first[found]
        many = np.searchsorted(self.hashes, wanted, side="right") - first
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return np.sort(self.places[np.repeat(first, many) + within]).astype(np.int64)

    def successors(self, keys: pa.LargeStringArray, known_us: Ints, ids: Ints) -> Ints:
        """As the function of that name, for all versions at once, in the order of known_at, row_key, id."""
        found = np.full(len(known_us), NEVER)
        tied = np.flatnonzero(np.diff(self.hashes) == 0)
        before, after = self.places[tied], self.places[tied + 1]
        found[before] = known_us[after]
        unlike = ~pc.equal(keys.take(pa.array(before)), keys.take(pa.array(after))).to_numpy(zero_copy_only=False)
        if unlike.any():
            shared = self.find(self.hashes[tied[unlike]])
            among = keys.take(pa.array(shared))
            found[shared] = successors(among, known_us[shared], ids[shared], key_hashes(among))
        return found

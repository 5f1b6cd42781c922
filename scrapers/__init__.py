"""The dataset catalog: every module of `scrapers/sources` declares one DATASET and is found by being there."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from urllib.parse import urlsplit

from scrapers import sources
from scrapers.base import Dataset, Source


def _catalog() -> Mapping[str, Dataset]:
    modules = (import_module(f"{sources.__name__}.{found.name}") for found in iter_modules(sources.__path__))
    entries: list[Dataset] = [module.DATASET for module in modules]
    return MappingProxyType({entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)})


DATASETS = _catalog()


def _sources() -> Mapping[str, Source]:
    found = [source for entry in DATASETS.values() for source in entry.sources]
    names = [source.name for source in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two sources bear one name: {', '.join(sorted(n for n in names if names.count(n) > 1))}")
    return MappingProxyType({source.name: source for source in sorted(found, key=lambda source: source.name)})


SOURCES = _sources()
"""Every source of every dataset by its name."""


def source_hosts() -> frozenset[str]:
    """The hosts that the datasets may ask: what the egress guard of `scrapers.http.Http` lets through."""
    return frozenset(urlsplit(url).hostname or "" for source in SOURCES.values() for url in source.urls)


__all__ = ["DATASETS", "SOURCES", "source_hosts"]

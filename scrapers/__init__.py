"""The dataset catalog: every module of `scrapers/sources` declares one DATASET and is found by being there."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from urllib.parse import urlsplit

from scrapers import sources
from scrapers.base import Dataset


def _catalog() -> Mapping[str, Dataset]:
    modules = (import_module(f"{sources.__name__}.{found.name}") for found in iter_modules(sources.__path__))
    entries: list[Dataset] = [module.DATASET for module in modules]
    return MappingProxyType({entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)})


DATASETS = _catalog()


def source_hosts() -> frozenset[str]:
    """The hosts that the datasets may ask: what the egress guard of `scrapers.http.Http` lets through."""
    addresses = (url for entry in DATASETS.values() for url in (entry.source_url, *entry.links.values()))
    return frozenset(urlsplit(url).hostname or "" for url in addresses)


__all__ = ["DATASETS", "source_hosts"]

"""Doubles of the outside services, found by being here: every module declares SERVICES."""

from importlib import import_module
from pkgutil import iter_modules

from scrapers.twin.base import Service


def found() -> tuple[Service, ...]:
    """Every service of every module of this folder, by host."""
    modules = (import_module(f"{__name__}.{entry.name}") for entry in iter_modules(__path__))
    services = [service for module in modules for service in module.SERVICES]
    return tuple(sorted(services, key=lambda service: service.host))

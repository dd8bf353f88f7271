"""Which names and origins a request may bear."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

WILDCARDS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Hosts:
    """The names under which the app answers.

    A page elsewhere can have its own name point to this machine (DNS rebinding), so an unknown name
    is refused. A number cannot be pointed elsewhere: loopback ones always count, and all do where
    the app listens on every address.

    Args:
        address: What the server listens on; None for every address.
        named: Names to answer to as well, ``*.`` before one for all below it; a page from there is
            trusted too.
    """

    address: str | None
    named: frozenset[str] = frozenset()

    @classmethod
    def read(cls, address: str | None, setting: str) -> Hosts:
        """Read the setting ``CSP_ALLOWED_HOSTS``.

        Args:
            address: What the server listens on; None for every address.
            setting: Names separated by commas; of an address of a page its host is taken.

        Returns:
            The names.
        """
        entries = [entry.strip() for entry in setting.split(",") if entry.strip()]
        found = {_split(entry if "//" in entry else f"//{entry}") for entry in entries}
        return cls(address, frozenset(name for name in found if name))

    def admits(self, host: str) -> bool:
        """Tell whether a ``Host`` header, with or without a port, is one of the app's own."""
        name = host_name(host)
        if name is None:
            return False
        if name == "localhost" or name == _canonical(self.address or "") or self._is_named(name):
            return True
        try:
            number = ipaddress.ip_address(name)
        except ValueError:
            return False
        return number.is_loopback or self.address in (None, *WILDCARDS)

    def trusts(self, origin: str, host: str) -> bool:
        """Tell whether a page may ask.

        Args:
            origin: The ``Origin`` header.
            host: The ``Host`` header of the same request, which is admitted.

        Returns:
            Whether the page is the app's own, or from a host that the setting names.
        """
        scheme, _, netloc = origin.partition("://")
        name = host_name(netloc)
        if scheme not in ("http", "https") or name is None:
            return False
        # The scheme is not compared, as a proxy may take off TLS.
        return netloc.lower() == host.lower() or self._is_named(name)

    def _is_named(self, name: str) -> bool:
        above = (f"*.{name[at + 1 :]}" for at, mark in enumerate(name) if mark == ".")
        return name in self.named or any(pattern in self.named for pattern in above)


def host_name(netloc: str) -> str | None:
    """Take the name out of ``name:port``, or give None if it is nothing but such a pair."""
    return _split(f"//{netloc}", alone=True)


def _split(address: str, alone: bool = False) -> str | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises if it is no number
        name = parts.hostname
    except ValueError:
        return None
    if alone and (f"//{parts.netloc}" != address or "@" in address):
        return None
    return _canonical(name or "") or None


def _canonical(name: str) -> str:
    name = name.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name

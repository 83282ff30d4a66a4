"""Addresses of the event stream: what is one, and who can reach it."""

import ipaddress
from urllib.parse import urlsplit

from gscon_live.common.errors import InputError

#: Where events are published unless told otherwise.
DEFAULT = "tcp://127.0.0.1:5560"


def host(endpoint: str) -> str | None:
    """The host of `tcp://HOST:PORT`; None for `ipc://FILE`, which has none.

    Raises:
        InputError: it is neither.
    """
    if endpoint.startswith("ipc://") and len(endpoint) > len("ipc://"):
        return None
    try:
        parts = urlsplit(endpoint)
        if parts.scheme == "tcp" and parts.port is not None and not parts.path and parts.hostname:
            return parts.hostname
    except ValueError:  # brackets or a port that make no sense
        pass
    raise InputError(f"endpoint {endpoint!r}: expected tcp://HOST:PORT, such as {DEFAULT}")


def is_local(endpoint: str) -> bool:
    """Whether only this machine reaches it. Raises `InputError` as `host` does."""
    name = host(endpoint)
    if name is None or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

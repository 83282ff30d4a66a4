"""Addresses of the event stream: their syntax, and whether other machines can reach them."""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from gscon_live.common.errors import InputError

#: The default address of the event stream.
DEFAULT = "tcp://127.0.0.1:5560"


def host(endpoint: str) -> str | None:
    """The host of `tcp://HOST:PORT`; None for `ipc://FILE`.

    Raises:
        InputError: any other address.
    """
    if endpoint.startswith("ipc://") and len(endpoint) > len("ipc://"):
        return None
    try:
        parts = urlsplit(endpoint)
        if parts.scheme == "tcp" and parts.port is not None and not parts.path and parts.hostname:
            return parts.hostname
    except ValueError:  # invalid brackets or port
        pass
    raise InputError(f"endpoint {endpoint!r}: expected tcp://HOST:PORT, such as {DEFAULT}")


def socket_path(endpoint: str) -> Path | None:
    """The socket file of `ipc://FILE`; None for other addresses, and for sockets without a file."""
    name = endpoint.removeprefix("ipc://")
    if name == endpoint or not name or name == "*" or name.startswith("@"):
        return None
    return Path(name)


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach the address. Raises `InputError` as `host` does."""
    name = host(endpoint)
    if name is None or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

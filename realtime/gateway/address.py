"""Where the page is served: the listening socket, TLS, and the address for the browser."""

import ipaddress
import secrets
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.common.files import private
from gscon_live.realtime.gateway.admission import Door, Ticket

#: The port of the page where none is given.
PORT = 8765
#: Letters that a token may have, and how many at least.
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_SHORTEST = 22


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the page is to be.

    Args:
        host: the address of this machine to listen on; beyond loopback, TLS is needed.
        port: 0 takes any free one.
        name: the name under which browsers reach it; None: the same as `host`.
        certificate: the file of the TLS certificate, with its chain.
        key: the file of its key.
        token_file: keeps the token; it is made if it is not there. None: a new token each time.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    name: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    token_file: Path | None = None


class Listening(NamedTuple):
    """An open place: its socket, TLS context, door, and address without the token."""

    socket: socket.socket
    tls: ssl.SSLContext | None
    door: Door
    address: str


def listen(place: Place) -> Listening:
    """Opens a place.

    Raises:
        InputError: the address cannot be used or is in use, or is beyond loopback without TLS, or
            a file is wrong.
    """
    if not 0 <= place.port <= 65_535:
        raise InputError(f"--port {place.port}: expected 0 to 65535; 0 takes any free port")
    local = is_loopback(place.host)
    if (place.certificate is None) != (place.key is None):
        raise InputError("TLS needs both --certificate and --key; give both files")
    if not local and place.certificate is None:
        raise InputError(
            f"--host {place.host}: other machines reach this address, so it needs TLS; give "
            "--certificate and --key, or stay on 127.0.0.1"
        )
    name = place.name or place.host
    if is_any(name):
        raise InputError(
            f"--host {place.host}: browsers need a name or an address to ask for; give --name"
        )
    tls = _tls(place)
    token = _token(place.token_file)
    opened = _bind(place)
    port = opened.getsockname()[1]
    scheme = "http" if tls is None else "https"
    names = {name, place.host, *(("localhost", "127.0.0.1", "::1") if local else ())}
    hosts = {_host(one_name, port) for one_name in names}
    if port == (80 if tls is None else 443):
        hosts |= {_host(one_name) for one_name in names}
    door = Door(
        token=token,
        hosts=frozenset(hosts),
        origins=frozenset(f"{scheme}://{host}" for host in hosts),
        cookie=f"gscon-page-{port}",
        secure=tls is not None,
        ticket=Ticket(),
    )
    return Listening(opened, tls, door, f"{scheme}://{_host(name, port)}/")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_any(host: str) -> bool:
    """Whether it stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host


def _host(name: str, port: int | None = None) -> str:
    """The header Host of a name."""
    shown = f"[{name}]" if ":" in name else name
    return (shown if port is None else f"{shown}:{port}").lower()


def _bind(place: Place) -> socket.socket:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--host {place.host}: no address of this machine ({error}); try 127.0.0.1"
        ) from error
    try:
        # A port whose last connections are still closing may be used again; on Windows the same
        # option would share a port that is in use.
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(target)
        opened.listen(64)
    except OSError as error:
        opened.close()
        raise InputError(
            f"the page cannot be served on {place.host} port {place.port}: {error.strerror}; "
            "choose another port (0: any free one)"
        ) from error
    return opened


def _tls(place: Place) -> ssl.SSLContext | None:
    if place.certificate is None or place.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password: a key that has one is refused instead of asked for.
        context.load_cert_chain(place.certificate, place.key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError(
            f"--certificate {place.certificate}, --key {place.key}: cannot be used for TLS "
            f"({error.strerror if isinstance(error, OSError) and error.strerror else error}); give "
            "a certificate and its key without a password, as PEM files"
        ) from error
    return context


def _token(path: Path | None) -> str:
    if path is None:
        return secrets.token_urlsafe(24)
    try:
        if not path.exists():
            with open(path, "x", encoding="ascii", opener=private) as file:
                file.write(secrets.token_urlsafe(24) + "\n")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text of ASCII letters"
        raise InputError(
            f"--token-file {path}: {reason}; give the file of an earlier start, or a new one"
        ) from error
    if len(token) < _SHORTEST or not set(token) <= _LETTERS:
        raise InputError(
            f"--token-file {path}: a token has at least {_SHORTEST} letters, digits, - and _; "
            "give the path of a new file, and it is made"
        )
    return token

"""Reads and checks the CURVE keys of a publisher and of a subscriber."""

from pathlib import Path
from typing import NamedTuple

import zmq
import zmq.auth

from gscon_live.common.errors import InputError

_REMEDY = "make keys with gscon-live keys DIR"


class KeyPair(NamedTuple):
    """A public and a secret key, as text of 40 characters (Z85)."""

    public: bytes
    secret: bytes


class ClientKeys(NamedTuple):
    """The keys of a subscriber: the publisher's public key, and its own pair."""

    server: bytes
    own: KeyPair


def read_public(path: Path | str, what: str) -> bytes:
    """The public key of a key file. Raises `InputError` with `what` for another file."""
    return _read(path, what)[0]


def read_pair(path: Path | str, what: str) -> KeyPair:
    """Public and secret key of a key file.

    Raises:
        InputError: with `what`: the file is missing, is no key file, or has no secret key.
    """
    public, secret = _read(path, what)
    if secret is None:
        raise InputError(f"{what} {path}: holds no secret key; give the file *.key_secret")
    return KeyPair(public, secret)


def read_client(folder: Path | str) -> ClientKeys:
    """The keys in a client's folder: `server.key`, `client.key_secret`.

    Raises:
        InputError: a key file is missing, or is no key file.
    """
    server = read_public(Path(folder) / "server.key", "the publisher's key")
    return ClientKeys(server, read_pair(Path(folder) / "client.key_secret", "the client's key"))


def check_clients(folder: Path | str, what: str) -> None:
    """Raises `InputError` with `what` if the folder of public keys does not exist."""
    if not Path(folder).is_dir():
        raise InputError(f"{what} {folder}: no such folder; {_REMEDY}")


def secure_server(socket: "zmq.Socket[bytes]", own: KeyPair) -> None:
    """Lets a publisher's socket accept only connections that know its key."""
    socket.curve_server = True
    socket.curve_publickey, socket.curve_secretkey = own


def secure_client(socket: "zmq.Socket[bytes]", keys: ClientKeys) -> None:
    """Lets a subscriber's socket connect to the publisher that has the server's key."""
    socket.curve_serverkey = keys.server
    socket.curve_publickey, socket.curve_secretkey = keys.own


def _read(path: Path | str, what: str) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {path}: no CURVE key file; {_REMEDY}") from error

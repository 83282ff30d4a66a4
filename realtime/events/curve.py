"""CURVE keys: read and checked for the publisher and for a subscriber."""

from pathlib import Path
from typing import NamedTuple

import zmq
import zmq.auth

from gscon_live.common.errors import InputError

_REMEDY = "make keys with gscon-live keys DIR"


class KeyPair(NamedTuple):
    """One's own keys, as text of 40 characters (Z85)."""

    public: bytes
    secret: bytes


class ClientKeys(NamedTuple):
    """What a subscriber needs: the publisher's public key, and its own pair."""

    server: bytes
    own: KeyPair


def read_public(path: Path | str, what: str) -> bytes:
    """The public key of a key file. Raises `InputError` naming `what` where it holds none."""
    return _read(path, what)[0]


def read_pair(path: Path | str, what: str) -> KeyPair:
    """Public and secret key of a key file.

    Raises:
        InputError: naming `what`: the file is missing, is no key file, or holds no secret key.
    """
    public, secret = _read(path, what)
    if secret is None:
        raise InputError(f"{what} {path}: holds no secret key; give the file *.key_secret")
    return KeyPair(public, secret)


def read_client(folder: Path | str) -> ClientKeys:
    """The keys in the folder that a client was given: `server.key`, `client.key_secret`.

    Raises:
        InputError: a key file is missing or is none.
    """
    server = read_public(Path(folder) / "server.key", "the publisher's key")
    return ClientKeys(server, read_pair(Path(folder) / "client.key_secret", "the client's key"))


def check_clients(folder: Path | str, what: str) -> None:
    """Raises `InputError` naming `what` unless there is such a folder of public keys."""
    if not Path(folder).is_dir():
        raise InputError(f"{what} {folder}: no such folder; {_REMEDY}")


def secure_server(socket: "zmq.Socket[bytes]", own: KeyPair) -> None:
    """Lets a publisher's socket take only connections that know its key."""
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

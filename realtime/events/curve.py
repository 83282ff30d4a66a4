"""Reads and checks the CURVE keys of a publisher and of a subscriber."""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

import zmq
import zmq.auth

from gscon_live.common.errors import InputError

_REMEDY = "make keys with gscon-live keys DIR"
#: Seconds between two looks at the folder of clients.
_READ_AGAIN = 1.0


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


class Clients:
    """The public keys of those who may subscribe: the files `*.key` of a folder.

    Args:
        folder: the folder; it is read again while the session runs.
        what: the setting's name, for errors.

    Raises:
        InputError: the folder does not exist, or a file in it is no key file.
    """

    def __init__(self, folder: Path | str, what: str) -> None:
        self._folder = Path(folder)
        self._what = what
        self._read_at = time.monotonic()
        self._state = self._look()
        self._keys = self._load()

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client with this key (Z85) may connect; ZeroMQ's authenticator asks, in a
        thread of its own. The key may be newer than the last look at the folder."""
        try:
            return key in self._keys or key in self._load()
        except InputError:
            return False

    def removed(self) -> bool:
        """Reads the folder again if it has changed, at most once a second.

        Returns:
            Whether a key is no longer there. While a file cannot be read, nothing changes.
        """
        if time.monotonic() - self._read_at < _READ_AGAIN:
            return False
        self._read_at = time.monotonic()
        state = self._look()
        if state == self._state:
            return False
        try:
            keys = self._load() if self._folder.is_dir() else frozenset()
        except InputError:  # it may be half written
            return False
        before, self._keys, self._state = self._keys, keys, state
        return not before <= keys

    def _look(self) -> frozenset[tuple[str, int, int]]:
        """Names, times and sizes of the key files."""
        seen = set()
        for path in self._folder.glob("*.key"):
            with contextlib.suppress(OSError):  # deleted meanwhile
                stat = path.stat()
                seen.add((path.name, stat.st_mtime_ns, stat.st_size))
        return frozenset(seen)

    def _load(self) -> frozenset[bytes]:
        if not self._folder.is_dir():
            raise InputError(f"{self._what} {self._folder}: no such folder; {_REMEDY}")
        return frozenset(read_public(path, self._what) for path in self._folder.glob("*.key"))


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

"""Keys are read in one place: whoever gives a wrong file is told which one, and the remedy."""

from pathlib import Path

import pytest

from gscon_live.common.errors import InputError
from gscon_live.realtime import keys
from gscon_live.realtime.events import curve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.make(tmp_path / "keys", ["robot"])
    return tmp_path / "keys"


def refusal(call: object) -> str:
    with pytest.raises(InputError) as refused:
        call()  # type: ignore[operator]
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_publisher_and_client_read_the_same_keys(folder: Path) -> None:
    own = curve.read_pair(folder / "server.key_secret", "key")
    client = curve.read_client(folder / "for-robot")
    assert client.server == own.public == curve.read_public(folder / "server.key", "key")
    assert client.own.public == curve.read_public(folder / "clients" / "robot.key", "key")
    assert client.own != own
    clients = curve.Clients(folder / "clients", "publish.curve.clients")
    assert clients.callback("*", client.own.public)
    assert not clients.callback("*", own.public)


@pytest.mark.parametrize("content", [None, b"", b"no key at all\n", b"\xff\xfe\x00"])
@pytest.mark.parametrize("name", ["server.key", "client.key_secret"])
def test_a_client_is_told_which_file_is_no_key(
    name: str, content: bytes | None, folder: Path
) -> None:
    path = folder / "for-robot" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    message = refusal(lambda: curve.read_client(folder / "for-robot"))
    assert str(path) in message
    assert "gscon-live keys" in message


def test_a_public_key_is_no_secret_one(folder: Path) -> None:
    message = refusal(lambda: curve.read_pair(folder / "server.key", "publish.curve.secret"))
    assert f"publish.curve.secret {folder / 'server.key'}: holds no secret key" in message


def test_the_folder_of_clients_has_to_be_there(folder: Path) -> None:
    for wrong in (folder / "nobody", folder / "server.key"):
        message = refusal(lambda wrong=wrong: curve.Clients(wrong, "publish.curve.clients"))
        assert f"publish.curve.clients {wrong}" in message

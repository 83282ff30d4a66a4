"""Keys are made once, private, and never overwritten."""

import stat
from pathlib import Path

import pytest

from gscon_live.common import cli
from gscon_live.realtime import keys
from gscon_live.realtime.events.curve import read_pair


def test_a_publisher_and_each_client_get_what_they_need_and_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "deep" / "keys"
    assert cli.run(keys.main, [str(folder), "--clients", "robot", "dashboard"]) == 0
    assert f"publish.curve.secret={folder}/server.key_secret" in capsys.readouterr().out
    server, secret = read_pair(folder / "server.key_secret", "key")
    assert (len(server), len(secret)) == (40, 40)
    for client in ("robot", "dashboard"):
        own = folder / f"for-{client}"
        assert sorted(path.name for path in own.iterdir()) == ["client.key_secret", "server.key"]
        public, _ = read_pair(own / "client.key_secret", "key")
        assert public in (folder / "clients" / f"{client}.key").read_bytes()
        assert server in (own / "server.key").read_bytes()
    assert sorted(path.name for path in (folder / "clients").iterdir()) == [
        "dashboard.key",
        "robot.key",
    ]


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys.make(folder, ["robot"])
    secrets = list(folder.rglob("*_secret"))
    assert len(secrets) == 2
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("clients", [["a/b"], ["../a"], [""], ["a", "a"], ["."]])
def test_names_that_are_no_file_names_are_refused_before_anything_is_made(
    clients: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keys"
    assert cli.run(keys.main, [str(folder), "--clients", *clients]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_keys_are_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "keys"
    assert cli.run(keys.main, [str(folder)]) == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert cli.run(keys.main, [str(folder)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_file_in_the_way_is_the_users_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").write_text("mine", encoding="utf-8")
    assert cli.run(keys.main, [str(tmp_path / "keys")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "keys").read_text(encoding="utf-8") == "mine"

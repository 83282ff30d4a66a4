"""`gscon-live keys DIR`: CURVE keys for an event stream that leaves this machine."""

from collections.abc import Sequence
from pathlib import Path

import zmq.auth

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.common.files import make_private_folder, write_whole
from gscon_live.common.outputs import Outputs


def make(folder: Path, clients: Sequence[str]) -> None:
    """Writes a publisher's key pair, and a key pair for each client.

    `server.key_secret` and `clients/` stay with the publisher; each client gets its own folder
    with `client.key_secret` and `server.key`.

    Raises:
        InputError: the folder is not empty (keys are never overwritten), or a client's name is no
            file name or occurs twice.
    """
    for client in clients:
        if not client or Path(client).name != client or list(clients).count(client) > 1:
            raise InputError(f"--clients {client!r}: give each client a different plain name")
    outputs = Outputs()
    outputs.makes(folder, "DIR")
    outputs.check()
    make_private_folder(folder)
    public_keys = folder / "clients"
    public_keys.mkdir()
    zmq.auth.create_certificates(folder, "server")
    for client in clients:
        own = folder / f"for-{client}"
        own.mkdir(mode=0o700)
        public, _ = zmq.auth.create_certificates(own, "client")
        Path(public).replace(public_keys / f"{client}.key")
        write_whole(own / "server.key", (folder / "server.key").read_bytes())
    for secret in folder.rglob("*.key_secret"):
        secret.chmod(0o600)


def main(arguments: Sequence[str]) -> None:
    parser = cli.parser(
        "gscon-live keys",
        "Makes CURVE keys, so that events can be published beyond this machine.",
        """
        gscon-live keys keys
        gscon-live keys keys --clients robot dashboard
        """,
    )
    parser.add_argument("folder", type=Path, help="where to put them; must be new or empty")
    parser.add_argument("--clients", nargs="+", default=["client"], metavar="NAME")
    chosen = parser.parse_args(arguments)
    make(chosen.folder, chosen.clients)
    print(
        f"publisher: publish.curve.secret={chosen.folder}/server.key_secret "
        f"publish.curve.clients={chosen.folder}/clients"
    )
    for client in chosen.clients:
        print(f"{client}: give it the folder {chosen.folder}/for-{client} (--keys)")


if __name__ == "__main__":
    cli.program(main)

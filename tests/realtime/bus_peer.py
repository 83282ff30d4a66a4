"""A process of its own at one end of a link, driven by its command line.

python bus_peer.py send ADDRESS POLICY NAME COUNT   sends numbered pictures, each as large as the
                                                    link's messages; prints how far it has come
"""

import json
import sys

import psutil
import zmq

from gscon_live.realtime.pipeline import bus, messages
from gscon_live.realtime.pipeline.services import MEBIBYTE, Link

SIDE = 256
SIZE = SIDE * SIDE * 3
QUEUE = 4 * MEBIBYTE


def link(policy: str, name: str = "sender") -> Link:
    """From `name` to the test, with a queue of 4 MiB for pictures of 192 KiB."""
    carries = (messages.VideoFrame, messages.Mark, messages.End)
    return Link(name, carries, policy, QUEUE, SIZE, receiver="test")  # type: ignore[arg-type]


def picture(number: int) -> messages.VideoFrame:
    return messages.VideoFrame(float(number), SIDE, SIDE, bytes(SIZE))


def send(address: str, policy: str, name: str, count: int) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sender = bus.Sender(context, link(policy, name), True, address, lambda: None)
    me = psutil.Process()
    before = me.memory_info().rss
    for number in range(count):
        message = picture(number)
        sender.send(message, bus.encode(message))
        print(number + 1, flush=True)
    growth = me.memory_info().rss - before
    sender.send(end := messages.End(name, float(count)), bus.encode(end))
    print(json.dumps({"dropped": sender.dropped, "growth": growth}), flush=True)
    sys.stdin.readline()  # as the project's workers do: who goes while his peer is busy loses
    sender.close()
    context.term()


if __name__ == "__main__":
    _, _, address_, policy_, name_, count_ = sys.argv
    send(address_, policy_, name_, int(count_))

"""A client that floods a publisher with subscriptions until it is killed.

python flooding.py repeated|new|alternating|long ENDPOINT

Prints a line when it has begun. `repeated` is always the same hello, `new` a hello that was never
there before, `alternating` subscribes and unsubscribes, `long` has topics of 100,000 bytes.
"""

import itertools
import os
import sys

import zmq


def flood(kind: str, endpoint: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    # A subscriber's own socket would leave out what it has subscribed to already.
    socket = context.socket(zmq.XSUB)
    socket.connect(endpoint)
    own = str(os.getpid()).encode()
    for number in itertools.count():
        if kind == "new":
            frame = b"\x01hello.%s.%d" % (own, number)
        elif kind == "alternating":
            frame = bytes([1 - number % 2]) + b"hello.x"
        elif kind == "long":
            frame = b"\x01hello." + b"%d" % number * 10_000
        else:
            frame = b"\x01hello.x"
        try:
            socket.send(frame)
        except zmq.ZMQError:
            return
        if number == 100:
            print("begun", flush=True)


if __name__ == "__main__":
    flood(*sys.argv[1:3])

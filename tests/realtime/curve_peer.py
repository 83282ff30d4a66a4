"""One end of an event stream, in a process (and network namespace) of its own.

python curve_peer.py publish ENDPOINT SECRET CLIENTS     an event every 20 ms, until killed
python curve_peer.py receive ENDPOINT [KEYS] [SECONDS]   prints how many events came, and an error
"""

import json
import sys
import time

import stubs

from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events.client import Subscriber
from gscon_live.realtime.pipeline.settings import Curve
from gscon_live.realtime.session.publisher import Publisher


def publish(endpoint: str, secret: str, clients: str) -> None:
    with Publisher(endpoint, "s", Curve(secret, clients) if secret else None) as publisher:
        print("bound", flush=True)
        number = 0
        while True:
            publisher.publish(stubs.gap(number))
            number += 1
            time.sleep(0.02)


def receive(endpoint: str, keys: str, seconds: float) -> None:
    got, error = 0, ""
    try:
        with Subscriber(endpoint, keys=keys or None, timeout=seconds) as subscriber:
            try:
                subscriber.ready()
            except Failure as failure:
                error = str(failure)
            while got < 20 and subscriber.receive(1.0) is not None:
                got += 1
    except InputError as wrong:
        error = str(wrong)
    print(json.dumps({"got": got, "error": error}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        publish(*sys.argv[2:5])
    else:
        receive(sys.argv[2], sys.argv[3], float(sys.argv[4]))

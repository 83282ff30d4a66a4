"""A publisher of events for tests: speaks the hello, does otherwise what standard input says.

    publish LINE    sends TOPIC SPACE JSON and counts it
    skip N          counts N events without sending them
    say WORD        prints it, when the orders before it are done
    hang up, bind   closes the socket, opens it again on the same port

Prints the endpoint, then a line for every topic that is new (`+emotion`), every hello answered,
and every order to hang up or bind.
"""

import json
import os
import time

import zmq


def serve() -> None:
    context = zmq.Context()
    port, seq = 0, 0
    bound: list[zmq.Socket[bytes]] = []
    poller = zmq.Poller()
    # Unbuffered: lines in a buffer of Python's own would not wake the poller.
    orders = os.fdopen(0, "rb", buffering=0)
    poller.register(orders, zmq.POLLIN)

    def bind() -> None:
        nonlocal port
        socket = context.socket(zmq.XPUB)
        socket.linger = 1000
        while port:
            try:
                socket.bind(f"tcp://127.0.0.1:{port}")
                break
            except zmq.ZMQError:
                time.sleep(0.02)  # the socket before is still closing
        else:
            port = socket.bind_to_random_port("tcp://127.0.0.1")
        poller.register(socket, zmq.POLLIN)
        bound.append(socket)

    bind()
    print(f"tcp://127.0.0.1:{port}", flush=True)
    while True:
        ready = {item for item, _ in poller.poll()}
        for socket in bound:
            if socket in ready:
                frame = socket.recv()
                if frame.startswith(b"\x01") and frame.endswith(b" "):
                    print("+" + frame[1:-1].decode(), flush=True)
                if frame.startswith(b"\x01hello."):
                    hello = {"schema": "gscon.events/1", "session": "s", "seq": seq}
                    socket.send(frame[1:] + b" " + json.dumps(hello).encode())
                    print("hello", flush=True)
        if orders.fileno() in ready:
            order, _, rest = orders.readline().decode().strip().partition(" ")
            if order == "publish":
                bound[0].send(rest.encode())
                seq += 1
            elif order == "skip":
                seq += int(rest)
            elif order == "say":
                print(rest, flush=True)
            elif order == "hang":
                poller.unregister(bound[0])
                bound.pop().close()
                print("hung up", flush=True)
            elif order == "bind":
                bind()
                print("bound", flush=True)
            else:
                break
    context.destroy(linger=1000)


if __name__ == "__main__":
    serve()

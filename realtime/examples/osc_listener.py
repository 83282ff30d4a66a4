"""Prints what gscon-live sends over OSC: python osc_listener.py [PORT]"""

import sys

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

dispatcher = Dispatcher()
dispatcher.set_default_handler(lambda address, *values: print(address, *values, flush=True))
port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
with BlockingOSCUDPServer(("127.0.0.1", port), dispatcher) as server:
    print("listening on port", server.server_address[1], flush=True)
    server.serve_forever()

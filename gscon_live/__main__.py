"""`python -m gscon_live COMMAND ...`: the same as `gscon-live COMMAND ...`."""

import sys

from gscon_live.commands import console

if __name__ == "__main__":
    sys.exit(console())

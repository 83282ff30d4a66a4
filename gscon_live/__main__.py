"""`python -m gscon_live COMMAND ...`: the same as `gscon-live COMMAND ...`."""

from gscon_live.program import console

if __name__ == "__main__":
    console()

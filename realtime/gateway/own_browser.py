"""Opens the page in the browser of whoever starts it."""

import os
import subprocess
import sys
import webbrowser

#: Whether a browser with windows can be there: one of these is set where there is a screen.
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
_OPENS = "import sys, webbrowser; webbrowser.open(sys.argv[1])"

#: What is said where there is none.
NONE = "no browser can be opened from here; open the address in one"


def there_is_one() -> bool:
    """Whether a browser with windows can be opened. One that fills the terminal is none, unless
    `BROWSER` asks for it."""
    if sys.platform not in ("win32", "darwin") and not any(map(os.environ.get, _SCREENS)):
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # lynx, w3m and their like
    return type(browser) is not webbrowser.GenericBrowser or bool(os.environ.get("BROWSER"))


def open_page(address: str) -> None:
    """Opens an address, and does not wait. Everybody on the machine can read it from the list of
    processes, so it must hold no lasting secret."""
    # A process between the two: a browser may never end, and must not get this one's pipes.
    subprocess.Popen(
        [sys.executable, "-c", _OPENS, address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

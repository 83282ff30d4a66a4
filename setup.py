"""Where the installed packages lie: the folders of the checkout, inside `gscon_live`."""

from setuptools import find_packages, setup

ROOMS = ("configs", "model", "realtime", "train")

setup(
    package_dir={f"gscon_live.{room}": room for room in ROOMS},
    packages=find_packages(include=["gscon_live", "gscon_live.*"])
    + [
        f"gscon_live.{name}"
        for room in ROOMS
        for name in find_packages(include=[room, f"{room}.*"])
    ],
)

"""The verdicts of the doctor: what this machine is ready for, and what is missing for the rest."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from gscon_live.common import extras


class _Finding(Protocol):
    """The result of a check, as far as a verdict reads it."""

    @property
    def name(self) -> str: ...
    @property
    def present(self) -> bool: ...
    @property
    def remedy(self) -> str: ...
    @property
    def needed(self) -> bool: ...


class Verdict(NamedTuple):
    """What a verdict says of a purpose: whether it is ready, in one line what is missing or
    limited, and the remedy, "" where there is nothing to mend."""

    name: str
    ready: bool
    detail: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The verdict as a line."""
        state = "ready" if self.ready else "not ready"
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.name}: {state}{detail}" + (f" → {self.remedy}" if self.remedy else "")


#: What each purpose needs beside what everything needs, and the extra with its libraries.
_PURPOSES: Mapping[str, tuple[tuple[str, ...], str | None]] = {
    "replay": ((), None),
    "live": (("PortAudio", "microphones", "publishing"), None),
    "page": ((), "web"),
    "training": ((), "train"),
}
#: What a purpose works without, and how the verdict says so.
_LIMITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "replay": (("speech recognition", "words only from captions"),),
    "live": (("cameras", "no face"), ("speech recognition", "no words")),
    "page": (),
    "training": (("GPU", "on the CPU"),),
}


def verdicts(findings: Sequence[_Finding]) -> list[Verdict]:
    """A verdict for replay, live, page and training, in this order."""
    absent = {finding.name: finding for finding in findings if not finding.present}
    always = [finding.name for finding in findings if finding.needed]
    return [
        _verdict(name, absent, [*always, *needs], extra)
        for name, (needs, extra) in _PURPOSES.items()
    ]


def _verdict(
    name: str, absent: Mapping[str, _Finding], needs: Sequence[str], extra: str | None
) -> Verdict:
    missing = [part for part in needs if part in absent]
    remedies = [absent[part].remedy for part in missing]
    if extra is not None and (modules := extras.missing(extra)):
        missing.append(f"the extra {extra!r} ({', '.join(modules)})")
        remedies.append(f"pip install 'gscon-live[{extra}]'")
    if missing:
        # What comes first is often the reason for the others.
        return Verdict(name, False, f"missing {', '.join(missing)}", remedies[0])
    limits = [(absent[part], words) for part, words in _LIMITS[name] if part in absent]
    detail = ", ".join(words for _, words in limits)
    remedy = limits[-1][0].remedy if limits and limits[-1][0].name != "GPU" else ""
    return Verdict(name, True, detail, remedy)

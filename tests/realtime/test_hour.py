"""An hour of conversation, replayed at full speed, costs no more memory than its first minutes."""

from pathlib import Path

import pytest

from gscon_live.configs import loader
from gscon_live.realtime.bench import measure, media
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline.settings import Settings

#: Allocators breathe; what grows with the conversation would grow by far more than this in an hour.
BREATH_MB = 60.0


# Alone: pages that another program uses too count in part, and in full when it ends.
@pytest.mark.alone
def test_an_hour_is_flat_in_memory(tmp_path: Path) -> None:
    long = media.repeated(tmp_path / "hour.mkv", 3600, video=False)
    plan = measure.plan_for(long, loader.load("live", Settings))
    session = measure.RecordedSession(plan, interval=2.0, memory=True).run()

    ended = session.events[-1][1]
    assert isinstance(ended, schema.SessionEnded)
    assert ended.complete
    assert ended.duration > 3500
    utterances = [event.utterance.id for _, event in session.utterances()]
    assert utterances == list(range(1, len(utterances) + 1))
    assert len(utterances) == ended.utterances > 700
    settled = [used for reached, used in session.memory if reached > 600]
    assert len(settled) >= 4, "too few readings to tell"
    assert (max(settled) - min(settled[:2])) / measure.MEBIBYTE < BREATH_MB

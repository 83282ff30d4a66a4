"""An hour of conversation, replayed at full speed, costs no more memory than its first minutes."""

from pathlib import Path

from gscon_live.configs import loader
from gscon_live.realtime.bench import measure, media
from gscon_live.realtime.events import schema
from gscon_live.realtime.pipeline.settings import Settings

#: Allocators breathe; what grows with the conversation would grow by far more than this in an hour.
BREATH_MB = 60.0


def test_an_hour_is_flat_in_memory(tmp_path: Path) -> None:
    long = media.repeated(tmp_path / "hour.mkv", 3600, video=False)
    run = measure.Run(
        measure.plan_for(long, loader.load("live", Settings)), every=2.0, memory=True
    ).go()

    ended = run.events[-1][1]
    assert isinstance(ended, schema.SessionEnded)
    assert ended.complete
    assert ended.duration > 3500
    utterances = [one.utterance.id for _, one in run.utterances()]
    assert utterances == list(range(1, len(utterances) + 1))
    assert len(utterances) == ended.utterances > 700
    settled = [used for reached, used in run.memory if reached > 600]
    assert len(settled) >= 4, "too few readings to tell"
    assert (max(settled) - min(settled[:2])) / measure.MEBIBYTE < BREATH_MB

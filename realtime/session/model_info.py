"""Name and version of the emotion model, looked up before any worker starts."""

from gscon_live.model import checkpoint
from gscon_live.realtime.events.schema import ModelInfo
from gscon_live.realtime.pipeline.settings import Recognition


def model_info(wanted: Recognition) -> ModelInfo:
    """What the events say of the model. Raises `InputError` where there is no such checkpoint, or
    it cannot answer live as it is asked to."""
    card = checkpoint.read_card(wanted.checkpoint)
    card.require_live()
    if wanted.neutral_prior is not None:
        card.require_prior()
    return ModelInfo(name=card.name, version=card.version)

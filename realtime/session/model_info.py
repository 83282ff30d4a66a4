"""Name and version of the emotion model, before any worker starts."""

from gscon_live.model import checkpoint, priors
from gscon_live.realtime.events.schema import ModelInfo
from gscon_live.realtime.pipeline.settings import Recognition


def model_info(recognition: Recognition) -> ModelInfo:
    """Name and version for the events.

    Raises:
        InputError: no such checkpoint, or it does not support live recognition or another prior.
    """
    card = checkpoint.read_card(recognition.checkpoint)
    card.require_live()
    if recognition.prior != priors.MODEL:
        card.require_prior()
    return ModelInfo(name=card.name, version=card.version)

"""Name and version of the emotion model, looked up before any worker starts."""

from model import checkpoint
from realtime.events import ModelInfo


def model_info(name_or_path: str) -> ModelInfo:
    """What the events say of the model. Raises `InputError` where there is no such checkpoint, or
    it cannot answer live."""
    card = checkpoint.read_card(name_or_path)
    card.require_live()
    return ModelInfo(name=card.name, version=card.version)

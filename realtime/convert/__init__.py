"""Events after the fact: as tables, as captions, and for annotation tools."""

"""Pages and pictures that are written from the templates beside this module."""

from pathlib import Path

import jinja2


def rendered(name: str, **values: object) -> str:
    """A template with its values in place. All that comes from outside is escaped, and a value that
    is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**values)

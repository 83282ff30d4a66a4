"""Pages and pictures that are written from templates."""

from pathlib import Path

import jinja2


def rendered(template: Path, **values: object) -> str:
    """A template with its values in place. All that comes from outside is escaped, and a value that
    is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values)

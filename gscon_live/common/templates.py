"""Pages and pictures from templates."""

from pathlib import Path

import jinja2


def rendered(template: Path, **values: object) -> str:
    """Renders a template. All values are escaped, and a missing value is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values)

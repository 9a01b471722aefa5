"""One part of the report: a heading, what stands under it, and the same numbers for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        key: Name of its numbers in `metrics.json`, and of its anchor on the page.
        title: Heading.
        html: What stands under the heading, trusted markup.
        numbers: The same findings as JSON-able values.
    """

    key: str
    title: str
    html: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


def render(template: str, **values: Any) -> str:
    """Render one of the package's templates; text in it is escaped, figures need `|safe`.

    Args:
        template: File name in `report/templates`, such as `profiles.html.j2`.
        values: What the template names.
    """
    return environment().get_template(template).render(**values)


def environment() -> jinja2.Environment:
    """Return the templates' environment; a value that a template misses is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phenotrain.report"),
        autoescape=jinja2.select_autoescape(["html.j2"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
    )
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    return environment

"""Dashboard and alert rules ask only for what the service tells."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from .conftest import encode_tiff

DOCS = Path(__file__).parents[3] / "docs"
PROMETHEUS = DOCS / "prometheus"
FROM_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds."""


def rules() -> list[dict]:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict]:
    return json.loads((DOCS / "grafana" / "phenoserve.json").read_text())["panels"]


EXPRESSIONS = [rule["expr"] for rule in rules()] + [
    target["expr"] for panel in panels() for target in panel["targets"]
]


async def scraped(ask, array) -> list[Metric]:
    """The metrics of a service that has answered."""
    async with ask() as client:
        await client.post("/predict", content=encode_tiff(array), headers={"content-type": "image/tiff"})
        return list(text_string_to_metric_families((await client.get("/metrics")).text))


@pytest.mark.anyio
async def test_every_metric_and_label_that_is_asked_for_exists(ask, array) -> None:
    """Each metric and label in an expression of the dashboard or a rule is in the answer of `/metrics`."""
    samples = {
        sample.name: set(sample.labels) for family in await scraped(ask, array) for sample in family.samples
    }
    for expression in EXPRESSIONS:
        named = re.findall(r"\b(phenoserve_\w+)(?:\{([^}]*)\})?", expression)
        assert named or 'up{job="phenoserve"}' in expression
        for name, matchers in named:
            assert name in samples, expression
            asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            assert asked <= samples[name] | FROM_PROMETHEUS, expression
        by = {
            label.strip()
            for group in re.findall(r"\bby \(([^)]*)\)", expression)
            for label in group.split(",")
        }
        assert by <= FROM_PROMETHEUS | set().union(*(samples[name] for name, _ in named))


@pytest.mark.anyio
async def test_every_metric_is_documented(ask, array) -> None:
    """The table of metrics in `docs/operations.md` holds each family of the service's own, and no other."""
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in await scraped(ask, array)
        if family.name.startswith("phenoserve_") and not family.name.endswith("_created")
    }
    page = (DOCS / "operations.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(phenoserve_\w+)", page, re.MULTILINE)) == names


def test_every_alert_says_what_to_do() -> None:
    """Each rule waits before it fires, has a severity, a summary and a description, and its row in the docs."""
    page = (DOCS / "operations.md").read_text("utf-8")
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 0
    for rule in rules():
        assert rule["for"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}
    assert re.findall(r"^\| `(Phenoserve\w+)`", page, re.MULTILINE) == names


def test_prometheus_takes_the_rules() -> None:
    """`promtool` finds no fault with configuration and rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH; `make promtool` unpacks Debian's where apt-get may")
    command = [promtool, "check", "config", PROMETHEUS / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_grafana_is_given_the_dashboard_and_its_source() -> None:
    """The dashboard's panels have ids of their own and ask the data source that is provisioned."""
    provisioned = yaml.safe_load((DOCS / "grafana/provisioning/datasources/prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    assert len({panel["id"] for panel in panels()}) == len(panels())
    assert {panel["datasource"]["uid"] for panel in panels()} == {source["uid"]}
    compose = yaml.safe_load((DOCS.parent / "docker-compose.yml").read_text())["services"]
    (provider,) = yaml.safe_load((DOCS / "grafana/provisioning/dashboards/phenoserve.yml").read_text())[
        "providers"
    ]
    mounted = [volume.split(":")[1] for volume in compose["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/phenoserve.json" in mounted
    assert source["url"] == "http://prometheus:9090"

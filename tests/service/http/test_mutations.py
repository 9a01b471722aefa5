"""Valid TIFFs with bytes changed anywhere, posted to the real server."""

import http.client
import json
import os
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from phenoserve.errors import ERRORS

NUM_MUTATIONS = int(os.environ.get("NUM_MUTATIONS", "3000"))


@pytest.mark.slow
def test_mutated_files_are_answered_or_refused(server, mutated_stacks) -> None:
    """Of 3,000 mutated stacks (`make fuzz`: 20,000) each is answered or refused with a documented 4xx."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)

    @given(mutated_stacks)
    @settings(
        max_examples=NUM_MUTATIONS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def keeps_answering(data: bytes) -> None:
        connection.request("POST", "/embed", data, {"content-type": "image/tiff"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != http.HTTPStatus.OK:
            assert answer.status == ERRORS[body["code"]].status
            assert answer.status in {413, 415, 422}

    with closing(connection):
        keeps_answering()

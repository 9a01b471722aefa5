"""The OpenAPI document, held against the real server by schemathesis."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NUM_EXAMPLES = 40


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_keeps_the_document(server, mode: GenerationMode) -> None:
    """Whatever is sent to a documented route, as documented or not, the answer is no 5xx and is documented."""
    document = schemathesis.openapi.from_url(f"{server.url}openapi.json")
    operations = [operation.ok() for operation in document.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/predict", "/embed", "/explain", "/bundle"}
    if (
        mode is GenerationMode.NEGATIVE
    ):  # a request without parameters and body cannot be other than documented
        operations = [operation for operation in operations if operation.body or operation.query]
        assert {operation.path for operation in operations} == {"/predict", "/embed", "/explain"}
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=NUM_EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def keeps_it(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        keeps_it()

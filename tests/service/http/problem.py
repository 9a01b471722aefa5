"""What every error of every route looks like: the specification, as one assertion.

`Content-Type: application/problem+json`; a JSON object of `type` (`/problems/CODE`), `title` and `status` of the code's
row in the table of errors, `code`, a `detail` of at least a few words, and `incident` for a 500 only. 429 and 503 carry
`Retry-After`, 401 and 403 `WWW-Authenticate`, 405 `Allow`.
"""

import httpx

from phenoserve.errors import ERRORS, ErrorCode


def assert_problem(response: httpx.Response, code: str) -> str:
    """Assert that an answer is the error of this code, in its one shape; its detail."""
    kind = ERRORS[ErrorCode(code)]
    assert response.status_code == kind.status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "code", "detail"} | (
        {"incident"} if kind.status == 500 else set()
    )
    assert (body["type"], body["title"], body["status"], body["code"]) == (
        f"/problems/{code}",
        kind.title,
        kind.status,
        code,
    )
    assert len(body["detail"].split()) > 3
    for status, header in {
        (401, "www-authenticate"),
        (403, "www-authenticate"),
        (405, "allow"),
        (429, "retry-after"),
        (503, "retry-after"),
    }:
        assert status != kind.status or response.headers[header]
    return body["detail"]

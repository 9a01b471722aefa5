"""Keys and media types, each alone."""

import pytest
from fastapi import Request

from phenoserve.http.problems import RequestError
from phenoserve.http.request.headers import negotiate
from phenoserve.http.request.keys import ApiKeysError, read_api_keys

DIGEST = "ab" * 32


def accepting(*lines: str) -> Request:
    """A request with these lines of `Accept`."""
    return Request({"type": "http", "headers": [(b"accept", line.encode()) for line in lines]})


def test_digests_are_read_whatever_stands_around_them(tmp_path) -> None:
    """Comments, blank lines and capitals are no part of a digest."""
    path = tmp_path / "keys"
    path.write_text(f"# office\n\n  {DIGEST.upper()}  # Ada\n{'0' * 64}\n")
    assert read_api_keys(path) == (bytes.fromhex(DIGEST), bytes(32))


@pytest.mark.parametrize("content", [b"", b"# nobody\n", b"secret\n", b"ab" * 31, b"\xff\xfe"])
def test_a_file_without_digests_is_refused(content: bytes, tmp_path) -> None:
    """A file that holds no digest, or anything else, lets nobody in by accident: it is refused by its name."""
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(ApiKeysError, match="keys"):
        read_api_keys(path)


def test_the_earlier_type_wins_where_all_are_alike() -> None:
    """Without a preference the first type offered is given."""
    for lines in ([], [""], ["*/*"], ["a/c, a/b"], ["a/c", "a/b"], ["a/*"]):
        assert negotiate(accepting(*lines), ["a/b", "a/c"]) == "a/b"


@pytest.mark.parametrize("accept", ["x/y", "a/b;q=0", "a/b;q=0, a/*;q=0", "text/*"])
def test_what_is_not_accepted_is_not_given(accept: str) -> None:
    """A type of weight 0, or that no range covers, is never given."""
    with pytest.raises(RequestError) as caught:
        negotiate(accepting(accept), ["a/b"])
    assert caught.value.code == "not_acceptable"

"""How both clients set up their connections."""

from importlib.metadata import version
from typing import TypedDict

import httpx

TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
DEFAULT_TIMEOUT = httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)


class HttpSettings(TypedDict):
    """Arguments of `httpx.Client` and `httpx.AsyncClient` that the clients do not take themselves."""

    base_url: httpx.URL
    headers: dict[str, str]


def http_settings(base_url: str, api_key: str | None) -> HttpSettings:
    """Settings for a service's address and key.

    Raises:
        ValueError: If `base_url` is not an http or https address, or `api_key` cannot stand in a header. The
            message never holds the key.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(
            f"base_url={base_url!r} ({error}). Expected an address such as http://127.0.0.1:8000."
        ) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"base_url={base_url!r}. Expected an address such as http://127.0.0.1:8000.")
    headers = {"user-agent": f"phenoclient/{version('phenoserve-client')}"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {_printable(api_key)}"
    return HttpSettings(base_url=url, headers=headers)


def _printable(api_key: str) -> str:
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ValueError("The API key is empty or has characters other than printable ASCII without spaces.")
    return api_key

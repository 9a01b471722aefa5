"""How both clients set up their connections."""

import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypedDict
from urllib.request import getproxies, proxy_bypass

import httpx

from phenoclient.errors import SettingsError

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
DEFAULT_TIMEOUT = httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_LARGEST_PORT = 65535


class HttpSettings(TypedDict):
    """Arguments of `httpx.Client` and `httpx.AsyncClient` that the clients do not take themselves."""

    base_url: httpx.URL
    headers: dict[str, str]
    proxy: str | None
    verify: ssl.SSLContext | bool
    trust_env: bool


@dataclass(frozen=True)
class Proxy:
    """A proxy that the environment names.

    Attributes:
        url: Its address.
        source: The variable that names it.
    """

    url: str
    source: str


def http_settings(base_url: str, api_key: str | None, proxy: Proxy | None) -> HttpSettings:
    """Settings for a service's address and key, by way of a proxy.

    Raises:
        SettingsError: If `base_url` is not an http or https address, `api_key` cannot stand in a header, or the
            certificates that the environment names cannot be loaded. The message never holds the key.
    """
    url = service_url(base_url)
    headers = {"user-agent": f"phenoclient/{version('phenoserve-client')}"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {_printable(api_key)}"
    is_encrypted = url.scheme == "https" or (proxy is not None and proxy.url.startswith("https:"))
    return HttpSettings(
        base_url=url,
        headers=headers,
        proxy=proxy.url if proxy else None,
        verify=_certificates() if is_encrypted else True,
        trust_env=False,  # what of it is meant is read here, where it can be named
    )


def service_url(base_url: str) -> httpx.URL:
    """The address of a service.

    Raises:
        SettingsError: If it is no http or https address.
    """
    expected = f"Expected an address such as {DEFAULT_URL}."
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, UnicodeError, TypeError) as error:
        raise SettingsError(f"base_url={base_url!r} ({error}). {expected}") from error
    if url.scheme not in {"http", "https"} or not url.host or not 0 < (url.port or 1) <= _LARGEST_PORT:
        raise SettingsError(f"base_url={base_url!r}. {expected}")
    return url


def proxy_for(base_url: str) -> Proxy | None:
    """The proxy by which the environment wants a service to be asked; None for this machine itself.

    Raises:
        SettingsError: If `base_url` is no address, or the variable holds no proxy that can be used. The message
            never holds a password.
    """
    url = service_url(base_url)
    found = getproxies()
    scheme = next((scheme for scheme in (url.scheme, "all") if found.get(scheme)), None)
    if scheme is None or _is_asked_directly(url, found.get("no", "").split(",")):
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    source = next((name for name in names if os.environ.get(name)), "the system's settings")
    value = found[scheme] if "://" in found[scheme] else f"http://{found[scheme]}"
    shown = re.sub(r"//.*@", "//…@", value)
    advice = f"correct it, or add {url.host} to NO_PROXY"
    try:
        parsed = httpx.URL(value)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise SettingsError(
            f"{source}={shown} is no address of a proxy. Expected one such as http://proxy:3128: {advice}."
        ) from error
    if parsed.scheme not in _PROXY_SCHEMES or not parsed.host or not 0 < (parsed.port or 1) <= _LARGEST_PORT:
        raise SettingsError(
            f"{source}={shown} is no proxy that can be used. Expected an address that begins with "
            f"{', '.join(_PROXY_SCHEMES)}: {advice}."
        )
    if parsed.scheme.startswith("socks") and find_spec("socksio") is None:
        raise SettingsError(
            f"{source}={shown} is a SOCKS proxy. Expected the package socksio for it: pip install 'httpx[socks]', or "
            f"add {url.host} to NO_PROXY."
        )
    return Proxy(value, source)


def _is_asked_directly(url: httpx.URL, excepted: Sequence[str]) -> bool:
    """Whether a host is this machine, or excepted by its name, its address or its network."""
    if url.host == "localhost" or url.host.endswith(".localhost"):
        return True
    try:
        address = ip_address(url.host)
    except ValueError:
        return bool(proxy_bypass(url.host))
    return (
        address.is_loopback
        or bool(proxy_bypass(url.host))
        or any(_holds(network.strip(), url.host) for network in excepted)
    )


def _holds(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False


def _certificates() -> ssl.SSLContext | bool:
    """The authorities that the environment names; True for httpx's own."""
    name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    if name is None:
        return True
    path = os.environ[name]
    try:
        if name == "SSL_CERT_FILE":
            return ssl.create_default_context(cafile=path)
        list(Path(path).iterdir())  # OpenSSL says nothing of a folder that is not there
        return ssl.create_default_context(capath=path)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{name}={path} cannot be loaded ({error}). Expected certificates of authorities in PEM form: correct it, "
            "or unset it."
        ) from error


def _printable(api_key: str) -> str:
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise SettingsError(
            "The API key is empty or has characters other than printable ASCII without spaces."
        )
    return api_key

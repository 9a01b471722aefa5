"""The service's settings: each is a flag of `phenoserve serve` and a variable `PHENOSERVE_…`."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from phenoserve.stack import StackLimits

MIB = 2**20
_ORIGIN = r"https?://[^/,\s*]+"


def _plain_host(host: str) -> str:
    """A host without the brackets of an address, and an IP address as it is written for short."""
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare  # a name, or every interface


class Settings(BaseSettings):
    """Settings of one service; a flag wins over the environment, which wins over the default.

    Attributes are documented by their descriptions, which are also the flags' help.
    """

    model_config = SettingsConfigDict(env_prefix="PHENOSERVE_", frozen=True, extra="forbid")

    host: Annotated[
        str,
        AfterValidator(_plain_host),
        Field(description="Address to listen on; 0.0.0.0 is every interface, :: is IPv6's too."),
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="Where to run: cuda refuses to start without it, auto says what it got."),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "int8", "fp16"],
        Field(
            description="Graph to run: auto takes int8 on a CPU made for it, fp16 on a GPU, where the bundle has one."
        ),
    ] = "auto"
    workers: Annotated[
        int, Field(ge=1, le=256, description="Processes that serve, each with all of these limits to itself.")
    ] = 1
    num_inferences: Annotated[
        int | None,
        Field(ge=1, le=256, description="Inferences at the same time; one a core if unset, one on a GPU."),
    ] = None
    num_threads: Annotated[
        int | None,
        Field(ge=1, description="Threads of an inference on the CPU while others run or wait; 1 if unset."),
    ] = None
    num_threads_alone: Annotated[
        int | None,
        Field(ge=1, description="Threads of an inference on the CPU that is alone; every core if unset."),
    ] = None
    max_batch: Annotated[
        int | None, Field(ge=1, le=256, description="Stacks of one inference; 1 if unset, 16 on a GPU.")
    ] = None
    max_gpu_mib: Annotated[
        float | None,
        Field(gt=0, description="MiB of a GPU's memory that inferences may take; all of it if unset."),
    ] = None
    num_decoders: Annotated[
        int | None,
        Field(ge=1, le=256, description="Threads that decode stacks and draw answers; one a core if unset."),
    ] = None
    max_queue: Annotated[
        int, Field(ge=1, description="Decoded stacks that wait for an inference; beyond that, 429.")
    ] = 64
    max_queue_mib: Annotated[
        float, Field(gt=0, description="MiB of decoded stacks that wait for an inference; beyond that, 429.")
    ] = 512
    attribution_share: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Stain attributions' share of inferences while others wait, and of requests, places and bytes.",
        ),
    ] = 0.25
    max_in_flight: Annotated[
        int, Field(ge=1, description="Requests with a stack in flight; more are answered 429.")
    ] = 64
    max_in_flight_mib: Annotated[
        float,
        Field(
            gt=0,
            description="MiB of bodies as they arrive and of answers until they are sent; beyond that, 429.",
        ),
    ] = 512
    max_body_mib: Annotated[
        float, Field(gt=0, description="Largest body of a request, in MiB; more is answered 413.")
    ] = 128
    max_decoded_mib: Annotated[
        float, Field(gt=0, description="Largest stack once decoded, in MiB of its own data type.")
    ] = 128
    max_field_mpx: Annotated[
        float, Field(gt=0, description="Largest field, in megapixels: height times width of one channel.")
    ] = 20
    max_stacks: Annotated[int, Field(ge=1, description="Stacks of one multipart request.")] = 16
    max_connections: Annotated[
        int, Field(ge=1, description="Open connections; one that waits for a request gives way to a new one.")
    ] = 1024
    head_timeout_s: Annotated[
        float, Field(gt=0, description="Seconds the head of a request may take to arrive; then 408.")
    ] = 15
    body_timeout_s: Annotated[
        float, Field(gt=0, description="Seconds a body may take to arrive; then 408.")
    ] = 60
    min_body_kib_per_s: Annotated[
        float, Field(ge=0, description="KiB a second that a body must come at after 5 s; else 408.")
    ] = 64
    write_timeout_s: Annotated[
        float,
        Field(
            gt=0, description="Seconds in which a client must read 64 KiB of its answer, or is disconnected."
        ),
    ] = 30
    deadline_s: Annotated[
        float, Field(gt=0, description="Seconds from the end of a body to its answer; then 503.")
    ] = 30
    api_keys_file: Annotated[
        Path | None,
        Field(
            description="File of SHA-256 digests (hex) of API keys, one a line; no key is asked for if unset."
        ),
    ] = None
    admin_keys_file: Annotated[
        Path | None,
        Field(description="File like that of API keys, of keys for /admin; there is no /admin if unset."),
    ] = None
    root_path: Annotated[
        str | None,
        Field(
            pattern=r"^(/[A-Za-z0-9._~-]+)+$",
            description="Path at which a proxy serves this, such as /pheno; requests may come with it or without.",
        ),
    ] = None
    cors_origins: Annotated[
        str | None,
        Field(
            pattern=rf"^{_ORIGIN}(,{_ORIGIN})*$",
            description="Origins, separated by commas, whose web pages may ask; only the service's own if unset.",
        ),
    ] = None
    docs: Annotated[Literal["on", "off"], Field(description="Whether /docs and /openapi.json are there.")] = (
        "on"
    )
    metrics: Annotated[Literal["on", "off"], Field(description="Whether /metrics is there.")] = "on"
    drain_s: Annotated[
        float,
        Field(
            ge=0,
            description="Seconds to keep serving, but not ready, after SIGTERM before closing the listener.",
        ),
    ] = 0
    shutdown_timeout_s: Annotated[
        int, Field(ge=1, description="Seconds that requests in flight get to finish at the end.")
    ] = 30
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severity that is logged.")
    ] = "info"

    log_format: Annotated[
        Literal["auto", "json", "text"],
        Field(description="Form of a line of the log; auto is text on a terminal and json elsewhere."),
    ] = "auto"

    def environment(self) -> dict[str, str]:
        """The settings as variables of the environment that a process with the same settings reads."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {f"PHENOSERVE_{name.upper()}": str(value) for name, value in values.items()}

    @property
    def allowed_origins(self) -> list[str]:
        """Origins whose pages may ask, each as a browser sends it."""
        return [] if self.cors_origins is None else self.cors_origins.split(",")

    @property
    def max_body_bytes(self) -> int:
        """Largest body in bytes; one that all bodies together may not take can never be read."""
        return int(min(self.max_body_mib, self.max_in_flight_mib) * MIB)

    @property
    def max_in_flight_bytes(self) -> int:
        """Bytes of all bodies in flight."""
        return int(self.max_in_flight_mib * MIB)

    @property
    def max_gpu_bytes(self) -> int | None:
        """Bytes of a GPU's memory that inferences may take; None for all of it."""
        return None if self.max_gpu_mib is None else int(self.max_gpu_mib * MIB)

    @property
    def max_queue_bytes(self) -> int:
        """Bytes of decoded stacks that wait."""
        return int(self.max_queue_mib * MIB)

    @property
    def stack_limits(self) -> StackLimits:
        """What one TIFF may ask for."""
        return StackLimits(
            max_decoded_bytes=int(self.max_decoded_mib * MIB), max_field_px=int(self.max_field_mpx * 1e6)
        )

"""The service's settings: each is a flag of `phenoserve serve` and a variable `PHENOSERVE_…`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from phenoserve.stack import StackLimits

MIB = 2**20


class Settings(BaseSettings):
    """Settings of one service; a flag wins over the environment, which wins over the default.

    Attributes are documented by their descriptions, which are also the flags' help.
    """

    model_config = SettingsConfigDict(env_prefix="PHENOSERVE_", frozen=True, extra="forbid")

    host: Annotated[str, Field(description="Address to listen on; 0.0.0.0 is every interface.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="Where to run: cuda refuses to start without it, auto says what it got."),
    ] = "auto"
    num_threads: Annotated[
        int | None,
        Field(ge=1, description="Threads of one inference on the CPU; all available cores if unset."),
    ] = None
    num_workers: Annotated[
        int, Field(ge=1, le=64, description="Stacks that are decoded and answered at the same time.")
    ] = 2
    max_in_flight: Annotated[
        int, Field(ge=1, description="Requests with a stack in flight; more are answered 429.")
    ] = 16
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
    body_timeout_s: Annotated[
        float, Field(gt=0, description="Seconds a body may take to arrive; then 408.")
    ] = 60
    api_keys_file: Annotated[
        Path | None,
        Field(
            description="File of SHA-256 digests (hex) of API keys, one a line; no key is asked for if unset."
        ),
    ] = None
    drain_s: Annotated[
        float,
        Field(
            ge=0, description="Seconds to keep serving, but not ready, after SIGTERM before closing the door."
        ),
    ] = 0
    shutdown_timeout_s: Annotated[
        int, Field(ge=1, description="Seconds that requests in flight get to finish at the end.")
    ] = 30
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severity that is logged.")
    ] = "info"

    @property
    def max_body_bytes(self) -> int:
        """Largest body in bytes."""
        return int(self.max_body_mib * MIB)

    @property
    def stack_limits(self) -> StackLimits:
        """What one TIFF may ask for."""
        return StackLimits(
            max_decoded_bytes=int(self.max_decoded_mib * MIB), max_field_px=int(self.max_field_mpx * 1e6)
        )

"""Reads the files of keys and the bundle's folder again while the service runs."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from phenoserve.bundle import BundleError, read_bundle
from phenoserve.engine import EngineError
from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError
from phenoserve.http.request.keys import ApiKeysError, KeyFile
from phenoserve.scheduling import Readiness, Scheduler, load_engines
from phenoserve.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reloader:
    """Reads the files of keys and the bundle that stands where the first one was read, and switches to them.

    Attributes:
        path: The bundle's folder, or a link to it: what is reloaded is what stands there now.
        scheduler: What serves.
        settings: How the bundle is loaded.
        key_files: The files of keys.
    """

    path: Path
    scheduler: Scheduler
    settings: Settings
    key_files: Sequence[KeyFile]

    async def reload(self) -> bool:
        """Take over the files of keys, then load and verify the bundle beside the one that serves, and switch.

        A key that was taken out of its file is refused from here on, whatever becomes of the bundle.

        Returns:
            Whether another bundle serves now; the one that serves already is not loaded again.

        Raises:
            RequestError: `key_file_refused`, and nothing has changed; or `bundle_refused`, and the old one serves on.
                It is logged as well.
        """
        await self._reload_keys()
        try:
            bundle = await asyncio.to_thread(read_bundle, self.path)
            is_served = bundle.digest == self.scheduler.engines.bundle.digest
            if is_served and self.scheduler.readiness is not Readiness.GOLDEN_MISMATCH:
                logger.info("%s is the bundle that serves already", self.path)
                return False
            await self.scheduler.replace(partial(load_engines, bundle, self.settings))
        except Exception as error:
            if not isinstance(error, BundleError | EngineError):
                logger.exception("The reload met what it does not expect")
            digest = self.scheduler.engines.bundle.digest
            stays = f"The new bundle is refused, {digest} serves on"
            raise _refusal(ErrorCode.BUNDLE_REFUSED, stays, error) from error
        manifest = bundle.manifest
        logger.info("Switched to %s %s (%s)", manifest.name, manifest.version, bundle.digest)
        return True

    async def _reload_keys(self) -> None:
        """Read all files of keys, then let them count together."""
        try:
            read = [await asyncio.to_thread(file.read) for file in self.key_files]
        except ApiKeysError as error:
            stays = "The files of keys are refused, the old keys stand"
            raise _refusal(ErrorCode.KEY_FILE_REFUSED, stays, error) from error
        for file, digests in zip(self.key_files, read, strict=True):
            file.digests = digests


def _refusal(code: ErrorCode, stays: str, error: Exception) -> RequestError:
    """Log what is refused and what stays; the message of the error says all, its traceback no more."""
    logger.error("%s: %s", stays, error)
    return RequestError(code, str(error))

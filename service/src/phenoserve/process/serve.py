"""What `phenoserve serve` does: one process that serves a bundle, or several under a supervisor."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from phenoserve.bundle import Manifest, read_bundle
from phenoserve.http import create_app
from phenoserve.http.app import App
from phenoserve.http.observe.metrics import SHARED_FOLDER_VARIABLE, forget_process
from phenoserve.http.problems import RequestError
from phenoserve.logs import log_form
from phenoserve.process.server import DrainingServer, Hooks, open_listener, page_url
from phenoserve.process.supervisor import READY_BYTE, Supervisor
from phenoserve.scheduling import JOIN_LIMIT_S, Readiness, load_engines
from phenoserve.settings import Settings

ENV_FILE_VARIABLE: Final = "PHENOSERVE_ENV_FILE"

logger = logging.getLogger(__name__)


class ListenError(Exception):
    """Raised when the address that the settings name cannot be listened on."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a worker has from its supervisor.

    Attributes:
        listener_fd: File descriptor of the socket, bound and listening.
        ready_fd: File descriptor of the pipe that is told by one byte that the worker serves.
    """

    listener_fd: int
    ready_fd: int


def serve(
    bundle: Path, settings: Settings, say: Callable[[str], object], inherited: Inherited | None = None
) -> int:
    """Serve a bundle until SIGTERM or SIGINT.

    Args:
        bundle: Folder of the bundle.
        settings: The service's settings; with several workers this process supervises them.
        say: Called with the sentence that says what serves and where, if that is read by people.
        inherited: What the supervisor left to this worker; None where nobody supervises.

    Returns:
        The exit code.

    Raises:
        BundleError: If the bundle cannot be read.
        EngineError: If it cannot be loaded on the device.
        ApiKeysError: If a file of keys cannot be used.
        ListenError: If the address cannot be listened on.
        OSError: If there is no folder for the metrics of several workers.
    """
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    if settings.workers > 1 and sys.platform == "win32":
        raise ListenError(
            f"{settings.workers} workers were asked for, and Windows cannot share one port among processes as this "
            "needs. Pass --workers 1, or run the service in a Linux container."
        )
    if settings.workers > 1 and inherited is None:
        return _supervise(bundle, settings, say)
    # The address is taken before the bundle is read: that may take long, and be for nothing.
    listener = _listener(settings) if inherited is None else socket.socket(fileno=inherited.listener_fd)
    with listener:
        supervisor_pid = None if inherited is None else os.getppid()
        engines = load_engines(read_bundle(bundle), settings)
        application = create_app(
            engines,
            settings,
            bundle_path=bundle,
            tell_others=lambda: None if supervisor_pid is None else os.kill(supervisor_pid, signal.SIGHUP),
        )

        def announce(url: str) -> None:
            if inherited is not None:
                os.write(inherited.ready_fd, READY_BYTE)
                return
            where = f"{engines.active_device} ({engines.bundle.precision})"
            _announce(engines.bundle.manifest, where, url, settings, say)

        server = DrainingServer(application, hooks_of(application), settings, announce, supervisor_pid)
        server.run([listener])
        return server.exit_code


def hooks_of(app: App) -> Hooks:
    """What the server tells this application, and asks it.

    Args:
        app: The application.
    """
    scheduler, metrics = app.service.scheduler, app.service.metrics

    async def reload() -> None:
        try:
            await app.reloader.reload()
        except RequestError:
            logger.debug("The reload changed nothing")  # the reloader said why
        except Exception:
            logger.exception("The reload failed; what served before serves on")

    return Hooks(
        drain=scheduler.drain,
        is_lame=lambda: scheduler.readiness is Readiness.WORKER_DIED,
        sample=metrics.sample,
        reload=reload,
    )


def _listener(settings: Settings) -> socket.socket:
    try:
        return open_listener(settings.host, settings.port)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python repeats the address
        raise ListenError(
            f"{settings.host or 'every interface'}, port {settings.port}, cannot be listened on ({reason}). "
            "Pass another --port or --host, or end what listens there."
        ) from error


def _supervise(bundle: Path, settings: Settings, say: Callable[[str], object]) -> int:
    """Keep several processes of `serve` on one port; the exit code."""
    manifest = read_bundle(bundle).manifest
    listener = _listener(settings)
    url = page_url(settings.host, listener.getsockname()[1])
    _announce(manifest, f"{settings.workers} workers", url, settings, say)

    def command(listener_fd: int, ready_fd: int) -> list[str]:
        program = [sys.executable, "-m", "phenoserve", "serve", str(bundle)]
        return [*program, "--listener-fd", str(listener_fd), "--ready-fd", str(ready_fd)]

    unfiled = {name: value for name, value in os.environ.items() if name != ENV_FILE_VARIABLE}
    with TemporaryDirectory(prefix="phenoserve-metrics-") as folder:
        return Supervisor(
            command,
            num_workers=settings.workers,
            listener=listener,
            environment=unfiled | settings.environment() | {SHARED_FOLDER_VARIABLE: folder},
            stop_s=settings.drain_s + settings.shutdown_timeout_s + JOIN_LIMIT_S,
            after_end=lambda pid: forget_process(pid, Path(folder)),
        ).run()


def _announce(
    manifest: Manifest, where: str, url: str, settings: Settings, say: Callable[[str], object]
) -> None:
    """Say what serves and where; on a terminal, or as a line of the log where that is read by programs."""
    documentation = f" (documentation: {url}docs)" if settings.docs == "on" else ""
    sentence = f"{manifest.name} {manifest.version} on {where} at {url}{documentation}"
    if log_form(settings) == "text":
        say(sentence)
    else:
        logger.info(sentence)

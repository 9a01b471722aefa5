"""The routes for whoever runs the service; there are none unless there are admin keys."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter
from fastapi.params import Depends as Dependency

from phenoserve.http.answer import schemas
from phenoserve.http.reload import Reloader
from phenoserve.http.routes.openapi import problem_responses
from phenoserve.http.stack_requests import Service


def admin_router(
    service: Service, reloader: Reloader, guards: Sequence[Dependency], tell_others: Callable[[], None]
) -> APIRouter:
    """The routes, acting on a service.

    Args:
        service: The service.
        reloader: Reloads its keys and its bundle.
        guards: What the routes depend on: they are for callers with an admin key.
        tell_others: Called after a reload, for the processes that serve the same bundle.
    """
    router = APIRouter(prefix="/admin", tags=["admin"], dependencies=guards)

    @router.post(
        "/reload",
        summary="Read the keys and the bundle's folder again, verify them, and switch to them",
        responses=problem_responses(401, 403, 422),
    )
    async def reload() -> schemas.ReloadAnswer:
        try:
            is_new = await reloader.reload()
        finally:
            tell_others()  # whatever became of the bundle, the keys may be new
        bundle = service.engines.bundle
        return schemas.ReloadAnswer(
            status="reloaded" if is_new else "unchanged",
            bundle=schemas.BundleName(
                name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest
            ),
        )

    return router

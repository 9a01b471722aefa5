"""The routes for whoever runs the service; there are none unless there are admin keys."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Depends, Request

from phenoserve.http import schemas
from phenoserve.http.keys import check_api_key
from phenoserve.http.openapi import problem_responses
from phenoserve.http.reload import Reloader
from phenoserve.http.service import Service


def admin_router(
    service: Service, reloader: Reloader, admin_digests: Sequence[bytes], tell_others: Callable[[], None]
) -> APIRouter:
    """The routes, acting on a service.

    Args:
        service: The service.
        reloader: Reloads its bundle.
        admin_digests: SHA-256 digests of the admin keys, at least one.
        tell_others: Called after a reload, for the processes that serve the same bundle.
    """
    digests = tuple(admin_digests)

    def require_admin(request: Request) -> None:
        check_api_key(request, digests)

    router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(require_admin)])

    @router.post(
        "/reload",
        summary="Load the bundle's folder again, verify it, and switch to it",
        responses=problem_responses(401, 403, 422),
    )
    async def reload() -> schemas.ReloadAnswer:
        is_new = await reloader.reload()
        if is_new:
            tell_others()
        bundle = service.engines.bundle
        return schemas.ReloadAnswer(
            status="reloaded" if is_new else "unchanged",
            bundle=schemas.BundleName(
                name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest
            ),
        )

    return router

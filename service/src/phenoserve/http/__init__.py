"""The HTTP side of the service: routes, bodies, errors, metrics."""

from phenoserve.http.app import create_app

__all__ = ["create_app"]

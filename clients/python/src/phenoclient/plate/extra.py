"""What `phenoserve-client[plate]` brings, asked for only where it is used: the plain client does without."""

from importlib.util import find_spec

from phenoclient.errors import PlateError


def require(purpose: str, *modules: str) -> None:
    """Makes sure that libraries of the extra are there.

    Raises:
        PlateError: If one is not; the message says what installs it.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise PlateError(
            f"{purpose} needs {', '.join(missing)}, which is not installed. Expected the extra: "
            "pip install 'phenoserve-client[plate]'."
        )

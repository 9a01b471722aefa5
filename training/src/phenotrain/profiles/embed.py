"""Embeds every site of a screen with a bundle's own graph, going on where a killed run stopped."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenoserve.engine import Engine
from phenotrain.bundle_screen import ReadStack
from phenotrain.cache.identity import signature_of
from phenotrain.files import written

_PIXELS_A_BATCH: Final = 2**22
_MAX_BATCH: Final = 16
_ARRAY: Final = "embeddings.npy"
_STATE: Final = "embeddings.json"


def embed_screen(
    engine: Engine,
    read_stack: ReadStack,
    site_ids: Sequence[str],
    folder: Path,
    *,
    images: str,
    on_site: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Embed sites by the bundle's graph, which takes raw stacks.

    Args:
        engine: The bundle, loaded.
        read_stack: Gives the raw stack of a row, `(channel, y, x)`; all of one size.
        site_ids: Names of the sites, in row order.
        folder: Keeps what is done; a later call with the same bundle, sites and images goes on there.
        images: What tells these images from others under the same names, as `images_of` gives it.
        on_site: Called with the number of sites done and to do, before the first and after each batch.

    Returns:
        `(num_sites, 1024)` float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    array_path, state_path = folder / _ARRAY, folder / _STATE
    names = hashlib.sha256("\n".join(site_ids).encode()).hexdigest()
    identity = {"bundle": engine.bundle.digest, "sites": names, "images": images}
    done = _done(state_path, array_path, identity)
    if done == 0:
        state_path.unlink(missing_ok=True)
        np.lib.format.open_memmap(array_path, "w+", np.float32, (len(site_ids), EMBEDDING_SIZE)).flush()
    embeddings = np.lib.format.open_memmap(array_path, "r+")
    if on_site is not None:
        on_site(done, len(site_ids))
    while done < len(site_ids):
        first = read_stack(done)
        size = int(np.clip(_PIXELS_A_BATCH // first[0].size, 1, _MAX_BATCH))
        rows = range(done, min(done + size, len(site_ids)))
        stacks = np.stack([first, *(read_stack(row) for row in rows[1:])])
        embeddings[rows.start : rows.stop] = engine.infer(stacks).embedding
        embeddings.flush()
        done = rows.stop
        state = json.dumps({**identity, "done": done})
        written(state_path, lambda path, state=state: path.write_text(state, "utf-8"))
        if on_site is not None:
            on_site(done, len(site_ids))
    return np.array(embeddings)


def images_of(files: Iterable[Sequence[Path]]) -> str:
    """Sign the images of a screen by their files' names, sizes and times, without reading them.

    Sites of another screen, of plates that were imaged again or of repaired files keep their names.

    Args:
        files: Files of every site, in channel order.

    Returns:
        SHA-256, hexadecimal; another one when a file was replaced, touched or moved.
    """
    digest = hashlib.sha256()
    for of_site in files:
        paths = tuple(str(path.absolute()) for path in of_site)
        digest.update("\0".join(paths).encode("utf-8", "surrogateescape"))
        digest.update(signature_of(Path(), paths).to_bytes(8, "little"))
    return digest.hexdigest()


def _done(state_path: Path, array_path: Path, identity: dict[str, str]) -> int:
    if not (state_path.is_file() and array_path.is_file()):
        return 0
    state = json.loads(state_path.read_text("utf-8"))
    return int(state["done"]) if {name: state.get(name) for name in identity} == identity else 0

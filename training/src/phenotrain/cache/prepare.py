"""The folder of a cache before it is filled: made, or found to be the right one."""

import hashlib
import math
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from phenotrain.cache import layout
from phenotrain.cache.errors import CacheError, CacheMismatchError
from phenotrain.cache.layout import CacheMeta
from phenotrain.cache.pooling import pooled_dtype
from phenotrain.cache.tables import sites_to_csv
from phenotrain.datasets import Description
from phenotrain.files import local_disk_hint
from phenotrain.plates import Fault, FieldForm, IncompleteSitesError, read_site

SIMULATED = "SIMULATED.json"
_NUM_PROBED = 9


def open_or_create(
    description: Description,
    data_root: Path,
    out: Path,
    sites: pd.DataFrame,
    files: list[tuple[str, ...]],
    downsample: int,
) -> CacheMeta:
    """Make the folder of a cache ready to be filled.

    Args:
        description: What the dataset looks like.
        data_root: Folder of its images.
        out: Folder of the cache.
        sites: Table of the sites, one slot each.
        files: For each site its files.
        downsample: Side of the square that is pooled, px.

    Returns:
        The record of the cache found there, or of the empty one made.

    Raises:
        IncompleteSitesError: If no site is readable, so that the size of the fields is not known.
        CacheMismatchError: If the folder holds the cache of something else.
        CacheError: If the folder cannot be used, or the disk is too small.
    """
    table = sites_to_csv(sites)
    table_sha256 = hashlib.sha256(table).hexdigest()
    simulated = (data_root / SIMULATED).is_file()
    if (out / layout.META).exists():
        meta = layout.read_meta(out)
        _require_match(meta, out, description, downsample, table_sha256)
        # What a label is used for, and where the data lie, may change without changing a pixel.
        current = meta.model_copy(
            update={"description": description, "data_root": data_root, "simulated": simulated}
        )
        if current != meta:
            layout.write_meta(out, current)
        return current
    _require_unused(out)
    form = find_form(description, data_root, sites, files)
    if downsample > min(form.height, form.width):
        raise CacheError(f"downsample is {downsample} px, but the fields are {form}; choose a smaller one")
    meta = CacheMeta(
        description=description,
        data_root=data_root,
        simulated=simulated,
        downsample=downsample,
        form=form,
        table_sha256=table_sha256,
    )
    try:
        _create(out, meta, table, len(sites))
    except OSError as error:
        raise CacheError(
            f"the cache {out} cannot be made: {error}{local_disk_hint(error, '--cache')}"
        ) from error
    return meta


def _create(out: Path, meta: CacheMeta, table: bytes, num_slots: int) -> None:
    """Make the files; the record comes last, so that without it the folder is known to be a torso."""
    height, width = meta.form.height // meta.downsample, meta.form.width // meta.downsample
    shape = (num_slots, len(meta.description.stains), height, width)
    dtype = pooled_dtype(meta.form.dtype, meta.downsample)
    out.mkdir(parents=True, exist_ok=True)
    _require_space(out, math.prod(shape) * dtype.itemsize)
    layout.create_array(out / layout.FIELDS, shape, dtype)
    layout.create_array(out / layout.STATE, (num_slots,), np.uint8)
    layout.create_array(out / layout.DIGESTS, (num_slots, layout.DIGEST_SIZE), np.uint8)
    layout.create_array(out / layout.SIGNATURES, (num_slots,), np.uint64)
    layout.write_atomically(out / layout.SITES, table)
    layout.write_meta(out, meta)


def _require_match(
    meta: CacheMeta, out: Path, description: Description, downsample: int, table_sha256: str
) -> None:
    differences = [
        what
        for what, differs in (
            (f"downsample {meta.downsample}, not {downsample}", meta.downsample != downsample),
            ("other [images] in its description", meta.description.images != description.images),
            ("another table of sites", meta.table_sha256 != table_sha256),
        )
        if differs
    ]
    if differences:
        raise CacheMismatchError(
            f"{out} holds a cache with {' and '.join(differences)}; pass another folder for this one, or delete it"
        )


def _require_unused(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise CacheError(
            f"{out} is a file; expected a folder for the cache, or a path that does not exist yet"
        )
    foreign = sorted(
        path.name for path in out.iterdir() if path.name.removesuffix(".tmp") not in layout.FILES
    )
    if foreign:
        raise CacheError(
            f"{out} is no cache but holds {foreign[0]!r}; pass a folder that is empty or does not exist"
        )


def _require_space(out: Path, needed: int) -> None:
    free = shutil.disk_usage(out).free
    if needed > free:
        raise CacheError(
            f"the cache needs {needed / 2**30:.1f} GiB, and {out} has {free / 2**30:.1f} GiB free; choose a larger"
            " downsample, fewer sites, or another disk"
        )


def find_form(
    description: Description, data_root: Path, sites: pd.DataFrame, files: list[tuple[str, ...]]
) -> FieldForm:
    """Find the size and dtype that the files of a dataset have in common.

    It is the commonest form of a few sites spread over the table, so that one odd site does not set the rule;
    of equally common ones, the first.

    Args:
        description: What the dataset looks like.
        data_root: Folder of the images.
        sites: Table of the sites.
        files: For each site its files.

    Returns:
        The form.

    Raises:
        IncompleteSitesError: If no site at all is readable.
    """
    site_ids = sites["site_id"].tolist()
    probed = list(range(0, len(files), -(-len(files) // _NUM_PROBED)))
    read = partial(read_site, data_root, stack_stains=description.stack_stains)
    stacks = (read(site_ids[row], files[row]).stack for row in probed)
    forms = Counter(FieldForm.of(stack) for stack in stacks if stack is not None)
    if forms:
        return forms.most_common(1)[0][0]
    faults: list[Fault] = []
    for site_id, row in zip(site_ids, files, strict=True):
        of_site = read(site_id, row)
        if of_site.stack is not None:
            return FieldForm.of(of_site.stack)
        faults += of_site.faults
    raise IncompleteSitesError(
        faults, f"No site is readable; check the data root {data_root} and [images] of the description."
    )

"""Feeds the TIFF reader whatever atheris invents: a stack, or a documented error of status 413, 415 or 422.

    make fuzz [FUZZ_SECONDS=600]

Starts from the files of `PHENOSERVE_DATA/tiffs` where there are any, follows the coverage of `phenoserve.stack` and
tifffile, and ends at the first other exception, at an input that takes over 10 s, or at 2 GiB of resident memory. The
input that did it is left in `fuzz/findings/`. Further arguments are libFuzzer's.
"""

import logging
import os
import shutil
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["phenoserve.stack", "tifffile"]):
    from phenoserve.errors import ERRORS
    from phenoserve.stack import StackError, StackLimits, read_stack

FOLDER = Path(__file__).parent
CORPUS, FINDINGS = FOLDER / "corpus", FOLDER / "findings"
REFUSALS = {413, 415, 422}
MAX_BYTES = 2**16
LIMITS = StackLimits(max_decoded_bytes=2**22, max_field_px=2**20)

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its warnings would be most of the work


def read_or_refuse(data: bytes) -> None:
    """Read one input; let every exception through that is not a documented refusal."""
    try:
        read_stack(data, LIMITS)
    except StackError as error:
        if ERRORS[error.code].status not in REFUSALS:
            raise


def seed_corpus() -> None:
    """Copy the small ones of the real files into the corpus."""
    CORPUS.mkdir(exist_ok=True)
    FINDINGS.mkdir(exist_ok=True)
    data_root = Path(os.environ.get("PHENOSERVE_DATA", FOLDER.parents[1] / "shared" / "data"))
    for index, path in enumerate(sorted((data_root / "tiffs").rglob("*.tif*"))):
        if path.stat().st_size <= MAX_BYTES:
            shutil.copyfile(path, CORPUS / f"{index}.tif")


if __name__ == "__main__":
    seed_corpus()
    options = [f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=2048", f"-artifact_prefix={FINDINGS}/"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(CORPUS)], read_or_refuse)
    atheris.Fuzz()

"""`python -m phenoserve` is the command `phenoserve`."""

from phenoserve.cli import app

app(prog_name="phenoserve")

"""Python client of phenoserve."""

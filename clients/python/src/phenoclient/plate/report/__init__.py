"""The page that shows a plate's results; needs the extra `phenoserve-client[plate]`."""

from phenoclient.plate.report.building import write_report

__all__ = ["write_report"]

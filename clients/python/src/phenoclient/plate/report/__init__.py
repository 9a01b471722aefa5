"""The page that shows a plate's results; needs the extra `phenoserve-client[plate]`."""

from phenoclient.plate.report.building import well_table_beside, write_report

__all__ = ["well_table_beside", "write_report"]

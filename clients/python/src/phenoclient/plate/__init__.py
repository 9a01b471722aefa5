"""Whole plates: find the sites of a folder, ask the service about each, write tables, draw a report."""

from phenoclient.plate.asking import Progress, Run
from phenoclient.plate.plate import Plate, PlateOptions, PlateOutcome, open_plate, predict_plate
from phenoclient.plate.reading.finding import FoundSites, find_sites
from phenoclient.plate.reading.layouts import LAYOUTS, Layout, layout_of_pattern
from phenoclient.plate.reading.plate_map import PlateMap, read_plate_map
from phenoclient.plate.reading.sites import Failure, Site
from phenoclient.plate.report import write_report
from phenoclient.plate.tables import read_table

__all__ = [
    "LAYOUTS",
    "Failure",
    "FoundSites",
    "Layout",
    "Plate",
    "PlateMap",
    "PlateOptions",
    "PlateOutcome",
    "Progress",
    "Run",
    "Site",
    "find_sites",
    "layout_of_pattern",
    "open_plate",
    "predict_plate",
    "read_plate_map",
    "read_table",
    "write_report",
]

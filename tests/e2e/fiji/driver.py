"""Runs the Fiji script under Jython as its user would, with the answers to its dialogs given.

`java -cp JARS org.python.util.jython driver.py SCRIPT CASES RESULTS`: CASES is a JSON file of what to run; what came of
it is written to RESULTS.
"""

import imp
import json
import sys

from ij import IJ, ImageJ, Macro, WindowManager
from ij.gui import GenericDialog
from ij.measure import ResultsTable
from ij.plugin import FileInfoVirtualStack
from java.lang import System, Thread

script_path, cases_path, results_path = sys.argv[1:]
script = imp.load_source("Phenoserve_Explain", script_path)


def rows_of(table):
    if table is None:
        return None
    headings = list(table.getHeadings())
    rows = range(table.size())
    return [{heading: table.getStringValue(heading, row) for heading in headings} for row in rows]


def arrange(image, case):
    """Shows an image as a user may have left it; none of this changes its pixels, but for the conversion to a type."""
    if case.get("type"):
        IJ.run(image, case["type"], "")
    if case.get("mode"):
        image.setDisplayMode(getattr(IJ, case["mode"]))
    image.setPosition(case.get("channel", 1), case.get("slice", 1), case.get("frame", 1))
    if case.get("range"):
        image.setDisplayRange(*case["range"])
    for command in case.get("commands", ()):
        IJ.run(image, command, "")
    if case.get("selected"):
        image.setRoi(3, 4, 10, 11)


def run(case):
    """The whole script on an image, its dialogs answered by what a macro would pass."""
    image = IJ.openImage(case["image"])
    arrange(image, case)
    WindowManager.setTempCurrentImage(image)
    IJ.log("\\Clear")
    Macro.setOptions(Thread.currentThread(), case["options"])
    failed = None
    try:
        script.main()
    except (script.ServiceError, ValueError) as error:
        failed = error.args[0]
    overlay = image.getOverlay()
    found = {"failed": failed, "log": IJ.getLog(), "overlay": None}
    title = image.getTitle()
    found["probabilities"] = rows_of(ResultsTable.getResultsTable("phenoserve: " + title))
    found["stains"] = rows_of(
        ResultsTable.getResultsTable("phenoserve: stains for %s, %s" % (case.get("treatment"), title))
    )
    if overlay is not None:
        roi = overlay.get(0)
        bounds = roi.getBounds()
        found["overlay"] = {
            "count": overlay.size(),
            "name": roi.getName(),
            "bounds": [bounds.x, bounds.y, bounds.width, bounds.height],
            "opacity": roi.getOpacity(),
            "position": [roi.getCPosition(), roi.getZPosition(), roi.getTPosition()],
            "colours": [pixel & 0xFFFFFF for pixel in roi.getProcessor().getPixels()],
        }
        if case.get("picture"):
            IJ.saveAs(image.flatten(), "PNG", case["picture"])
    return found


def heatmap(case):
    image = IJ.openImage(case["image"])
    tiff = script.to_tiff([processor for _, processor in script.channels_of(image, case["stains"])])
    found = script.Service(case["service"]).heatmap(tiff, case["stains"], case["treatment"])
    return {"size": [found.getWidth(), found.getHeight()], "values": list(found.getProcessor().getPixels())}


def refused(case):
    """What the script says where the service refuses a stack for its key."""
    image = IJ.openImage(case["image"])
    tiff = script.to_tiff([processor for _, processor in script.channels_of(image, case["stains"])])
    try:
        script.Service(case["service"], "no more").predict(tiff, case["stains"])
    except script.ServiceError as error:
        return error.args[0]


def tiff(case):
    """The script's own TIFF of what is shown of an image, written to a file."""
    path = case["image"]
    image = FileInfoVirtualStack.openVirtual(path) if case.get("virtual") else IJ.openImage(path)
    arrange(image, case)
    channels = script.channels_of(image, case["stains"])
    with open(case["out"], "wb") as out:
        out.write(script.to_tiff([processor for _, processor in channels]).tostring())
    return [name for name, _ in channels]


def echoes(case):
    """What the dialog for the address and the key shows in place of a character of each field; 0 for itself."""
    found = []

    def look_and_show(dialog):
        found.extend(ord(field.getEchoChar()) for field in dialog.getStringFields())
        GenericDialog.showDialog(dialog)

    script.GenericDialog = type("Dialog", (GenericDialog,), {"showDialog": look_and_show})
    Macro.setOptions(Thread.currentThread(), case["options"])
    script.ask_where()
    script.GenericDialog = GenericDialog
    return found


def presets(case):
    return [script.preset(each["names"], each["stains"]) for each in case["cases"]]


def indexed(_case):
    """Whether an image of 8 bits counts as one of indexed colours, by the lookup table that it is shown with."""
    found = {}
    for name in ("Grays", "Green", "Fire", "3-3-2 RGB"):
        image = IJ.createImage(name, "8-bit ramp", 64, 64, 1)
        IJ.run(image, name, "")
        found[name] = script._has_indexed_colours(image)
    image = IJ.createImage("inverted", "8-bit ramp", 64, 64, 1)
    IJ.run(image, "Green", "")
    IJ.run(image, "Invert LUT", "")
    found["inverted"] = script._has_indexed_colours(image)
    return found


# ImageJ takes the answers to dialogs from a macro's thread only, and knows that by its name.
Thread.currentThread().setName("Run$_phenoserve")
ImageJ(ImageJ.NO_SHOW)  # without one there is no log to read
with open(cases_path) as stream:
    cases = json.load(stream)
results = {name: globals()[case["do"]](case) for name, case in cases.items()}
results["versions"] = [IJ.getVersion(), ".".join(str(part) for part in sys.version_info[:3])]
with open(results_path, "w") as stream:
    json.dump(results, stream)
System.exit(0)  # the windows would keep it alive

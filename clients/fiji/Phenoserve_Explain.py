"""Asks a phenoserve service about the active image: overlay of the evidence, tables of probabilities and stains.

Copy this file into Fiji's folder `plugins` and restart, or open it in the Script Editor and run it. It is Jython 2.7,
uses ImageJ 1.x and what Jython brings, and works in ImageJ 1.53 with Jython too. See docs/fiji.md.
"""

import json

from ij import IJ, ImagePlus, ImageStack, Prefs
from ij.gui import GenericDialog, ImageRoi, Overlay
from ij.io import FileSaver, Opener
from ij.measure import ResultsTable
from jarray import array, zeros
from java.awt.image import IndexColorModel
from java.io import ByteArrayInputStream, ByteArrayOutputStream, IOException
from java.net import URL, HttpURLConnection, URLEncoder

ADDRESS_PREFERENCE = "phenoserve.address"
DEFAULT_ADDRESS = "http://127.0.0.1:8000"
PREDICTED = "(the predicted one)"
CONNECT_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 300000
BUFFER_BYTES = 65536

# Of the colour map inferno (CC0), which the web page uses: even steps, readable without telling red from green.
INFERNO = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)


class ServiceError(Exception):
    """What the service, or the way to it, has to say."""


class Service:
    """One service, by its address.

    Args:
        address: Such as `http://127.0.0.1:8000`.
        key: API key; empty where the service asks for none.

    Raises:
        ValueError: If the address is not one of http or https.
    """

    def __init__(self, address, key=""):
        self._address = address.strip().rstrip("/")
        if not self._address.startswith(("http://", "https://")):
            raise ValueError("The address is '%s'; expected one like %s." % (self._address, DEFAULT_ADDRESS))
        self._key = key.strip()

    def bundle(self):
        """The manifest of the bundle that is served: a dict, see docs/bundle-format.md."""
        return json.loads(self._ask("/bundle", "application/json").tostring())["manifest"]

    def predict(self, tiff, stains):
        """What `/predict` says of a stack.

        Args:
            tiff: Bytes of a TIFF.
            stains: The bundle's stains in the order of the TIFF's channels.
        """
        query = {"channels": ",".join(stains)}
        return json.loads(self._ask("/predict", "application/json", query, tiff).tostring())

    def heatmap(self, tiff, stains, treatment):
        """The evidence for a treatment at the size of the field, as an `ImagePlus` of 32 bits."""
        query = {"channels": ",".join(stains), "treatment": treatment}
        content = self._ask("/explain", "image/tiff", query, tiff)
        return Opener().openTiff(ByteArrayInputStream(content), "Grad-CAM: " + treatment)

    def stains(self, tiff, stains, treatment):
        """How much each stain adds to a treatment's logit: what `/explain` says under `stains`."""
        query = {"channels": ",".join(stains), "treatment": treatment, "stains": "true"}
        return json.loads(self._ask("/explain", "application/json", query, tiff).tostring())["stains"]

    def _ask(self, path, accept, query=None, tiff=None):
        pairs = [
            name + "=" + URLEncoder.encode(value, "UTF-8") for name, value in sorted((query or {}).items())
        ]
        try:
            connection = URL(self._address + path + ("?" + "&".join(pairs) if pairs else "")).openConnection()
            connection.setConnectTimeout(CONNECT_TIMEOUT_MS)
            connection.setReadTimeout(READ_TIMEOUT_MS)
            connection.setRequestProperty("Accept", accept)
            if self._key:
                connection.setRequestProperty("X-API-Key", self._key)
            if tiff is not None:
                connection.setRequestProperty("Content-Type", "image/tiff")
                connection.setDoOutput(True)
                connection.setFixedLengthStreamingMode(len(tiff))
                body = connection.getOutputStream()
                body.write(tiff)
                body.close()
            if connection.getResponseCode() < HttpURLConnection.HTTP_BAD_REQUEST:
                return _read(connection.getInputStream())
            problem = _read(connection.getErrorStream()).tostring()
        except IOException as error:
            raise ServiceError(
                "No answer from %s: %s. Start the service, or correct the address." % (self._address, error)
            )
        raise ServiceError(_in_its_own_words(connection.getResponseCode(), problem))


def _read(stream):
    """All bytes of a stream; none where there is no stream."""
    content, buffer = ByteArrayOutputStream(), zeros(BUFFER_BYTES, "b")
    while stream is not None:
        size = stream.read(buffer)
        if size < 0:
            stream.close()
            break
        content.write(buffer, 0, size)
    return content.toByteArray()


def _in_its_own_words(status, content):
    """Title and detail of a problem (RFC 9457), or what can be said of anything else."""
    try:
        problem = json.loads(content)
        return "%s\n%s" % (problem["title"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        return "The address answered %d, and not as phenoserve does. Check the address." % status


def channels_of(image):
    """The channels of an image at its current depth and time.

    Args:
        image: An `ImagePlus`. A plain stack, of neither channels nor times, counts as one of channels.

    Returns:
        Pairs of name and `ImageProcessor`, in the image's order.

    Raises:
        ValueError: If its pixels are not intensities of 8, 16 or 32 bits.
    """
    if image.getBitDepth() not in (8, 16, 32) or image.getProcessor().isColorLut():
        raise ValueError(
            "The image is of type %s; expected intensities of 8, 16 or 32 bits in grey, a channel a stain. Split the "
            "colours first: Image > Color > Split Channels." % image.getBitDepth()
        )
    channels, stack = image.getNChannels(), image.getStack()
    if channels == 1 and image.getNFrames() == 1:
        indices = range(1, image.getNSlices() + 1)
    else:
        indices = [image.getStackIndex(c, image.getZ(), image.getT()) for c in range(1, channels + 1)]
    return [(stack.getShortSliceLabel(i) or "", stack.getProcessor(i).duplicate()) for i in indices]


def likely_stains(names, stains):
    """A stain for every channel: the one that its name holds, else the next that no other channel took.

    Args:
        names: Names of the channels.
        stains: The bundle's stains.
    """
    held = [[stain for stain in stains if stain.lower() in name.lower()] for name in names]
    named = [found[0] if len(found) == 1 and held.count(found) == 1 else None for found in held]
    left = [stain for stain in stains if stain not in named]
    return [stain if stain or not left else left.pop(0) for stain in named]


def check_stains(chosen, stains):
    """Refuse an order that does not name every stain of the bundle once.

    Raises:
        ValueError: With what was chosen and what is expected.
    """
    if sorted(chosen) != sorted(stains):
        raise ValueError(
            "The channels were said to show %s; the bundle takes each of %s once. Give the image as many channels, and "
            "each a stain of its own." % (", ".join(chosen), ", ".join(stains))
        )


def to_tiff(channels):
    """The bytes of a TIFF of these channels, a page each.

    Args:
        channels: `ImageProcessor`s of one size and type.
    """
    stack = ImageStack(channels[0].getWidth(), channels[0].getHeight())
    for processor in channels:
        stack.addSlice(processor)
    image = ImagePlus("stack", stack)
    image.setDimensions(len(channels), 1, 1)
    image.setOpenAsHyperStack(True)
    return FileSaver(image).serialize()


def show_evidence(image, heatmap, opacity):
    """Lay a heatmap over an image, over every channel, in place of an overlay that is there.

    Args:
        image: An `ImagePlus`.
        heatmap: One of the same width and height, not negative.
        opacity: From 0 to 1.
    """
    evidence = heatmap.getProcessor()
    evidence.setMinAndMax(0, max(evidence.getStats().max, 1e-12))
    coloured = evidence.convertToByteProcessor(True)
    coloured.setColorModel(_inferno())
    roi = ImageRoi(0, 0, coloured.convertToColorProcessor())
    roi.setName(heatmap.getTitle())
    roi.setOpacity(opacity)
    image.setOverlay(Overlay(roi))


def _inferno():
    steps = len(INFERNO) - 1
    parts = []
    for part in range(3):
        shades = []
        for level in range(256):
            at = level * steps / 255.0
            low = min(int(at), steps - 1)
            shade = INFERNO[low][part] + (at - low) * (INFERNO[low + 1][part] - INFERNO[low][part])
            shades.append(int(shade + 0.5))
        parts.append(array([shade - 256 if shade > 127 else shade for shade in shades], "b"))
    return IndexColorModel(8, 256, *parts)


def probability_table(answer):
    """The answer of `/predict` as a `ResultsTable`, a row a treatment."""
    inside = (answer.get("prediction_set") or {}).get("treatments", ())
    table = ResultsTable()
    table.setPrecision(4)
    for treatment, probability in sorted(answer["probabilities"].items(), key=lambda pair: -pair[1]):
        table.incrementCounter()
        table.addValue("Treatment", treatment)
        table.addValue("Classifier", probability)
        table.addValue("Forest", answer["forest"]["probabilities"][treatment])
        if treatment in answer["versus_control"]:
            table.addValue("Versus control", answer["versus_control"][treatment])
        else:
            table.addValue("Versus control", "")
        table.addValue("In prediction set", "yes" if treatment in inside else "no")
    return table


def stain_table(attribution):
    """A stain attribution as a `ResultsTable`, a row a stain."""
    table = ResultsTable()
    table.setPrecision(4)
    for stain, value in sorted(attribution["values"].items(), key=lambda pair: -pair[1]):
        table.incrementCounter()
        table.addValue("Stain", stain)
        table.addValue("Adds to the logit", value)
    return table


def notice(answer):
    """What to know before a prediction is believed; empty where there is nothing."""
    if answer.get("in_distribution") is not False:
        return ""
    return (
        "The image is unlike what the model learned from: it lies farther from the training sites than %.1f %% of the "
        "validation controls. Neither probabilities nor prediction set can be trusted."
        % answer["distance"]["percentile"]
    )


def ask_where():
    """Ask for the address and the key; None if the user cancels. Only the address is remembered."""
    dialog = GenericDialog("phenoserve: service")
    dialog.addStringField("Service", Prefs.get(ADDRESS_PREFERENCE, DEFAULT_ADDRESS), 30)
    dialog.addStringField("Key (if asked for)", "", 30)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    address, key = dialog.getNextString(), dialog.getNextString()
    Prefs.set(ADDRESS_PREFERENCE, address)
    return Service(address, key)


def ask_what(names, stains, treatments):
    """Ask which channel shows which stain, what to explain, and how; None if the user cancels."""
    dialog, choices = GenericDialog("phenoserve: image"), list(treatments)
    choices.insert(0, PREDICTED)
    for index, stain in enumerate(likely_stains(names, stains)):
        name = names[index][:40]
        dialog.addChoice("Channel_%d%s" % (index + 1, " (%s)" % name if name else ""), stains, stain)
    dialog.addChoice("Evidence for", choices, PREDICTED)
    dialog.addSlider("Opacity (%)", 0, 100, 50)
    dialog.addCheckbox("Stains: how much each adds (takes %d passes)" % 2 ** len(stains), False)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    chosen = [dialog.getNextChoice() for _ in names]
    treatment = dialog.getNextChoice()
    return chosen, treatment, dialog.getNextNumber() / 100.0, dialog.getNextBoolean()


def main():
    """Ask, send, show."""
    image = IJ.getImage()
    service = ask_where()
    if service is None:
        return
    manifest = service.bundle()
    stains = manifest["input"]["channels"]
    channels = channels_of(image)
    if len(channels) != len(stains):
        raise ValueError(
            "The image has %d channels; the bundle takes %d: %s. Open all of them as one stack or hyperstack."
            % (len(channels), len(stains), ", ".join(stains))
        )
    asked = ask_what([name for name, _ in channels], stains, manifest["treatments"])
    if asked is None:
        return
    chosen, treatment, opacity, wants_stains = asked
    check_stains(chosen, stains)
    tiff = to_tiff([processor for _, processor in channels])
    IJ.showStatus("phenoserve: prediction")
    answer = service.predict(tiff, chosen)
    probability_table(answer).show("phenoserve: " + image.getTitle())
    treatment = answer["prediction"]["treatment"] if treatment == PREDICTED else treatment
    IJ.showStatus("phenoserve: evidence for " + treatment)
    show_evidence(image, service.heatmap(tiff, chosen, treatment), opacity)
    if wants_stains:
        IJ.showStatus("phenoserve: stains that speak for " + treatment)
        table = stain_table(service.stains(tiff, chosen, treatment))
        table.show("phenoserve: stains for %s, %s" % (treatment, image.getTitle()))
    IJ.showStatus("phenoserve: " + treatment)
    if notice(answer):
        IJ.log("phenoserve, %s: %s" % (image.getTitle(), notice(answer)))


# Jython names a script one or the other, by its version.
if __name__ in ("__main__", "__builtin__"):
    try:
        main()
    except (ServiceError, ValueError) as error:
        IJ.error("phenoserve", str(error))

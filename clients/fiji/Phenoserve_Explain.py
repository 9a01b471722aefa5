"""Asks a phenoserve service about the active image: overlay of the evidence, tables of probabilities and stains.

Copy this file into Fiji's folder `plugins` and restart, or open it in the Script Editor and run it. It is Jython 2.7,
uses ImageJ 1.x and what Jython brings, and works in ImageJ 1.53 with Jython too. See docs/fiji.md.
"""

import json
import re
from textwrap import wrap

from ij import IJ, ImagePlus, ImageStack, Prefs
from ij.gui import GenericDialog, ImageRoi, Overlay
from ij.io import FileSaver, Opener
from ij.measure import ResultsTable
from jarray import array, zeros
from java.awt.image import IndexColorModel
from java.io import ByteArrayInputStream, ByteArrayOutputStream, IOException
from java.net import (
    URI,
    HttpRetryException,
    HttpURLConnection,
    InetAddress,
    Proxy,
    URISyntaxException,
    URLEncoder,
)
from java.text import Normalizer

ADDRESS_PREFERENCE = "phenoserve.address"
DEFAULT_ADDRESS = "http://127.0.0.1:8000"
PREDICTED = "(the predicted one)"
CHOOSE = "(choose)"
BY_LABELS = "by their labels"
BY_PLACE = "in the bundle's order; their labels do not tell their stains"
BY_HAND = "as chosen in the dialog"
CONNECT_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 300000
BUFFER_BYTES = 65536
NO_WORDS = "no words"  # what an answer has whose content Java keeps back
LEAST_STEP = 4  # of lightness, 0 to 255; less is rounding
LINE_CHARACTERS = 70

WORDS = re.compile(r"[^\W_]+", re.UNICODE)
DIGITS_OR_LETTERS = re.compile(r"\d+|[^\W\d_]+", re.UNICODE)
MARKS = re.compile(b"[\xe2\x84\xa2\xc2\xae\xc2\xa9\xe2\x84\xa0]".decode("utf-8"))  # of trade and of service
# Dyes and fluorophores as they are written out, and the one word for each. As phenoclient.stain_names has them.
SHORT = [
    (re.compile(pattern), short)
    for pattern, short in (
        (r"\bconcanavalin a\b|\bcon a\b", "cona"),
        (r"\bwheat germ agglutinin\b", "wga"),
        (r"\bsyto (?=\d)", "syto"),
        (r"\bmito tracker\b", "mitotracker"),
        (r"\btexas red( x)?\b", "texasred"),
        (r"\bcm xros\b", "cmxros"),
        (r"\balexa( fluor)?( plus)? (?=\d)", "af "),
        (r"(?<=\d) (?=\d)", ""),
        (r"\b(af|atto|bodipy|cf|cy|dylight|ifluor) (?=\d)", r"\1"),
    )
]
NOISE = re.compile(r"(acid|conj|conjugated?|dye|fluorescent|labell?ed|nucleic|stain)$")
FLUOROPHORE = re.compile(
    r"((af|atto|bodipy|cf|cy|dylight|ifluor)\d+|cmtmros|cmxros|fitc|fm|rhodamine|texasred|tritc)$"
)
VARIANTS = {
    "hoechst": re.compile(r"\d{5}$"),
    "mitotracker": re.compile(r"(deep|far|red|orange|green)$"),
    "syto14": re.compile(r"green$"),
}

# Every fifth colour of the map inferno (CC0), which the service's overlay has: even steps, readable without
# telling red from green.
_INFERNO_HEX = (
    "000004 02020c 050417 0a0722 10092d 160b39 1e0c45 260c51 2f0a5b 380962 400a67 490b6a 510e6c "
    "59106e 61136e 69166e 71196e 781c6d 801f6c 88226a 902568 982766 a02a63 a82e5f b0315b b73557 "
    "bf3952 c63d4d cc4248 d34743 d94d3d df5337 e45a31 e9612b ed6925 f1711f f47918 f78212 f98b0b "
    "fa9407 fb9d07 fca60c fcb014 fbba1f fac42a f8cd37 f6d746 f4e156 f2ea69 f2f27d f5f992 fcffa4"
)
INFERNO = [[int(colour[at : at + 2], 16) for at in (0, 2, 4)] for colour in _INFERNO_HEX.split()]


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
        try:
            parsed = URI(self._address)
            self._host = parsed.getHost() if parsed.getScheme() in ("http", "https") else None
        except URISyntaxException:
            self._host = None
        if self._host is None:
            raise ValueError(
                "The address is '%s'; expected one like %s, or http://[::1]:8000 with IPv6."
                % (self._address, DEFAULT_ADDRESS)
            )
        self._key = key.strip()

    def bundle(self):
        """The manifest of the bundle that is served: a dict, see docs/bundle-format.md."""
        return self._json("/bundle")["manifest"]

    def predict(self, tiff, stains):
        """What `/predict` says of a stack.

        Args:
            tiff: Bytes of a TIFF.
            stains: The bundle's stains in the order of the TIFF's channels.
        """
        return self._json("/predict", {"channels": ",".join(stains)}, tiff)

    def heatmap(self, tiff, stains, treatment):
        """The evidence for a treatment at the size of the field, as an `ImagePlus` of 32 bits."""
        query = {"channels": ",".join(stains), "treatment": treatment}
        content = self._ask("/explain", "image/tiff", query, tiff)
        return Opener().openTiff(ByteArrayInputStream(content), "Grad-CAM: " + treatment)

    def stains(self, tiff, stains, treatment):
        """How much each stain adds to a treatment's logit: what `/explain` says under `stains`."""
        query = {"channels": ",".join(stains), "treatment": treatment, "stains": "true"}
        return self._json("/explain", query, tiff)["stains"]

    def _json(self, path, query=None, tiff=None):
        return json.loads(self._ask(path, "application/json", query, tiff).tostring().decode("utf-8"))

    def _ask(self, path, accept, query=None, tiff=None):
        pairs = [
            name + "=" + URLEncoder.encode(value, "UTF-8") for name, value in sorted((query or {}).items())
        ]
        try:
            url = URI(self._address + path + ("?" + "&".join(pairs) if pairs else "")).toURL()
            is_here = InetAddress.getByName(self._host).isLoopbackAddress()  # no proxy leads there
            connection = url.openConnection(Proxy.NO_PROXY) if is_here else url.openConnection()
            connection.setInstanceFollowRedirects(False)
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
            status, kind = connection.getResponseCode(), connection.getContentType() or "no content type"
            if status == HttpURLConnection.HTTP_OK and kind.startswith(accept):
                return _read(connection.getInputStream())
            failed = status >= HttpURLConnection.HTTP_BAD_REQUEST
            problem = _read(connection.getErrorStream()).tostring() if failed else ""
        except HttpRetryException as error:
            status, kind, problem = error.responseCode(), NO_WORDS, ""
        except IOException as error:
            raise ServiceError(
                "No answer from %s: %s. Start the service, or correct the address." % (self._address, error)
            )
        raise ServiceError(_in_its_own_words(self._address, status, kind, problem))


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


def _in_its_own_words(address, status, kind, content):
    """Title and detail of a problem (RFC 9457), or what can be said of anything else."""
    try:
        problem = json.loads(content.decode("utf-8"))
        return "%s\n%s" % (problem["title"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        if status == HttpURLConnection.HTTP_UNAUTHORIZED and kind in (NO_WORDS, "application/problem+json"):
            # Java keeps the words of a 401 back where a body was sent.
            return (
                "The key is not accepted any more: %s answered 401. Run the script again with another key, or ask "
                "whoever runs the service." % address
            )
        return (
            "%s answered %d with %s, and not as phenoserve does: another server, or a proxy or login page in between. "
            "Check the address; where it is right, ask whoever runs what stands in between."
            % (address, status, kind)
        )


def channels_of(image, stains):
    """The channels of an image at the depth and time that are shown.

    Args:
        image: An `ImagePlus`. Neither lookup tables, display ranges and modes nor a selection change what is read.
        stains: The bundle's stains.

    Returns:
        Pairs of name and `ImageProcessor`, in the image's order. Of a stack without channels they are its slices where
        their labels name the stains.

    Raises:
        ValueError: If its pixels are no intensities, or its planes are not known to be as many channels as stains.
    """
    if image.getBitDepth() == 24:
        raise ValueError(
            "The image is RGB; expected intensities of 8, 16 or 32 bits, a channel a stain. Split the colours first: "
            "Image > Color > Split Channels."
        )
    num_channels, num_planes, stack = image.getNChannels(), image.getStackSize(), image.getStack()
    if num_planes == 1 and _has_indexed_colours(image):
        raise ValueError(
            "The image has indexed colours; expected intensities. Convert it: Image > Type > RGB Color, then Image > "
            "Color > Split Channels. Where the colours are a lookup table alone: Image > Lookup Tables > Grays."
        )
    if num_channels == len(stains):
        indices = [image.getStackIndex(c, image.getZ(), image.getT()) for c in range(1, num_channels + 1)]
    elif num_channels == 1 and num_planes > 1:
        indices = range(1, num_planes + 1)
        labels = [_label(stack, index) for index in indices]
        if read_names(labels, stains)[1] is None:
            raise ValueError(
                "The image has %d slices, %d frames and no channels, and the labels of its planes (%s) do not name the "
                "bundle's stains (%s). If the planes are channels, say so: Image > Properties..., Channels %d, Slices "
                "1, Frames 1. If they are depth or time, open all channels as a hyperstack."
                % (
                    image.getNSlices(),
                    image.getNFrames(),
                    ", ".join(label or "blank" for label in labels),
                    ", ".join(stains),
                    num_planes,
                )
            )
    else:
        raise ValueError(
            "The image has %d channel%s; the bundle takes %d: %s. Open all of them as one hyperstack, or merge them: "
            "Image > Color > Merge Channels..."
            % (num_channels, "" if num_channels == 1 else "s", len(stains), ", ".join(stains))
        )
    return [(_label(stack, index), stack.getProcessor(index)) for index in indices]


def _label(stack, index):
    return (stack.getShortSliceLabel(index) or "").strip()


def _has_indexed_colours(image):
    """Whether the colours of an image of 8 bits are a palette: a lookup table for intensities rises or falls evenly."""
    if image.getBitDepth() != 8:
        return False
    model = image.getProcessor().getColorModel()
    levels = [
        0.299 * model.getRed(level) + 0.587 * model.getGreen(level) + 0.114 * model.getBlue(level)
        for level in range(256)
    ]
    steps = [levels[level + 1] - levels[level] for level in range(255)]
    return min(steps) < -LEAST_STEP and max(steps) > LEAST_STEP


def match_stains(names, stains):
    """Read the names of channels as stains, by the rules of the service and the Python client.

    Args:
        names: A name of each channel, blank where it has none.
        stains: The bundle's stains, in its order.

    Returns:
        The stain that each name means, or None; all of them as an order, or None; and a sentence that shows both
        readings where the names contradict the bundle's order without saying another, or None.
    """
    called = [_stains_called(name, stains) for name in names]
    meant = [found[0] if len(found) == 1 else None for found in called]
    known = [stain for stain in meant if stain is not None]
    if len(names) == len(stains) and sorted(known) == sorted(stains):
        return meant, meant, None
    why = None
    if names and len(names) != len(stains):
        why = "These are %d, and the bundle takes %d." % (len(names), len(stains))
    elif any(len(found) > 1 for found in called):
        why = "A name may mean several stains."
    elif len(set(known)) < len(known):
        why = "One stain is named twice."
    elif any(stain not in (None, stains[index]) for index, stain in enumerate(meant)):
        why = "A stain stands at another one's place, and not every name means a stain."
    if why is None:
        return meant, None, None
    refusal = "The channels are named %s. %s Read by their names they are %s; in the bundle's order they would be %s."
    named = ", ".join(name or "(blank)" for name in names)
    return (
        meant,
        None,
        refusal % (named, why, ", ".join(stain or "?" for stain in meant), ", ".join(stains)),
    )


def read_names(names, stains):
    """`match_stains` of names as they stand or, where none of them means a stain, without the words that all share."""
    found = match_stains(names, stains)
    if any(found[0]):
        return found
    words = [WORDS.findall(name) for name in names]
    shared = _num_shared(words)
    tails = [each[shared:][::-1] for each in words]
    trailing = _num_shared(tails)
    return match_stains([" ".join(tail[trailing:][::-1]) for tail in tails], stains)


def _num_shared(lists):
    """How many elements all lists begin with."""
    shortest = min(lists, key=len) if lists else []
    differing = [index for index, each in enumerate(shortest) if any(other[index] != each for other in lists)]
    return differing[0] if differing else len(shortest)


def _stains_called(name, stains):
    """The stains that a name may mean."""
    if name in stains:
        return [name]
    bare = _squeezed(name)
    if not bare:
        return []
    alike = [stain for stain in stains if _squeezed(stain) == bare]
    dye = _dye(name)
    return alike or [stain for stain in stains if dye[0] and _is_same(dye, _dye(stain))]


def _is_same(dye, other):
    """Whether two names mean one dye: what one of them leaves out, the other may say."""
    return dye[0] == other[0] and all(
        not dye[part] or not other[part] or dye[part] == other[part] for part in (1, 2)
    )


def _folded(name):
    return Normalizer.normalize(MARKS.sub(" ", name), Normalizer.Form.NFKC).upper().lower()


def _squeezed(name):
    """Letters and digits of a name, without case."""
    return "".join(character for character in _folded(name) if character.isalnum())


def _dye(name):
    """A name as a dye: its family, what tells it from others of it, and the fluorophore it carries."""
    text = " ".join(DIGITS_OR_LETTERS.findall(_folded(name)))
    for written_out, short in SHORT:
        text = written_out.sub(short, text)
    words = [word for word in text.split() if not NOISE.match(word)]
    fluorophores = [word for word in words if FLUOROPHORE.match(word)]
    words = [word for word in words if word not in fluorophores]
    kinds = VARIANTS.get(words[0]) if words else None
    variants = [word for word in words[1:] if kinds is not None and kinds.match(word)]
    family = "".join(word for word in words if word not in variants)
    if not family:
        return "".join(fluorophores), "", ""
    return family, "".join(variants), "".join(fluorophores)


def preset(names, stains):
    """A stain for every channel, as far as it can be told.

    Args:
        names: Names of the channels.
        stains: The bundle's stains.

    Returns:
        Stains or `CHOOSE`; where the order comes from, None where it is not complete; what to know, in a sentence.
    """
    meant, order, refusal = read_names(names, stains)
    if order is not None:
        return order, BY_LABELS, "Preset %s." % BY_LABELS
    if refusal is not None:
        told = [stain if stain and meant.count(stain) == 1 else CHOOSE for stain in meant]
        return told, None, refusal + " Choose a stain for every channel."
    return list(stains), BY_PLACE, "Preset %s. Check it." % BY_PLACE


def check_stains(chosen, stains, advice):
    """Refuse an order that does not name every stain of the bundle once.

    Args:
        chosen: Stains of the channels, or `CHOOSE`.
        stains: The bundle's stains.
        advice: What is said where one was not chosen.

    Raises:
        ValueError: With what was chosen and what is expected.
    """
    if CHOOSE in chosen:
        raise ValueError(advice)
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
        stack.addSlice("", processor.getPixelsCopy())  # its lookup table, inverted perhaps, stays behind
    image = ImagePlus("stack", stack)
    image.setDimensions(len(channels), 1, 1)
    image.setOpenAsHyperStack(True)
    return FileSaver(image).serialize()


def show_evidence(image, heatmap, opacity):
    """Lay a heatmap over an image, over every channel of what is shown, in place of an overlay that is there.

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
    if image.getNChannels() > 1:
        roi.setPosition(0, image.getZ(), image.getT())  # 0 is every channel
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


def probability_table(answer, origin):
    """The answer of `/predict` as a `ResultsTable`, a row a treatment.

    Args:
        answer: A dict, as the service gives it.
        origin: Where the order of the channels comes from.
    """
    notices = "|".join(
        "%s:%s" % (each["code"], stain) for each in notices_of(answer) for stain in each["channels"] or [""]
    )
    told = answer.get("prediction_set")
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
        is_inside = "" if told is None else "yes" if treatment in told["treatments"] else "no"
        table.addValue("In prediction set", is_inside)
        table.addValue("Channels taken", origin)
        table.addValue("Notices", notices)
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


def notices_of(answer):
    """What the service has to say of the stack; an older one says nothing."""
    return answer["stack"].get("notices") or []


def remarks(image, answer, origin):
    """What to know before a prediction is believed, in sentences."""
    told = ["Channels were taken %s." % origin]
    if image.getNChannels() > 1 and image.getNSlices() * image.getNFrames() > 1:
        told.append(
            "Of depth and time what is shown was sent: slice %d of %d, frame %d of %d."
            % (image.getZ(), image.getNSlices(), image.getT(), image.getNFrames())
        )
    told += [each["detail"] for each in notices_of(answer)]
    if answer.get("in_distribution") is False:
        told.append(
            "The image is unlike what the model learned from: it lies farther from the training sites than %.1f %% of "
            "the validation controls, or its channels do not look like their stains, or like images at all. Neither "
            "probabilities nor prediction set can be trusted." % answer["distance"]["percentile"]
        )
    told += [answer[name] for name in ("prediction_set_reason", "distribution_reason") if answer.get(name)]
    return told


def ask_where():
    """Ask for the address and the key; None if the user cancels. Only the address is remembered."""
    dialog = GenericDialog("phenoserve: service")
    dialog.addStringField("Service", Prefs.get(ADDRESS_PREFERENCE, DEFAULT_ADDRESS), 30)
    dialog.setEchoChar("*")  # of the next field: nobody reads the key off the screen
    dialog.addStringField("Key (if asked for)", "", 30)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    address, key = dialog.getNextString(), dialog.getNextString()
    Prefs.set(ADDRESS_PREFERENCE, address)
    return Service(address, key)


def ask_what(names, stains, treatments):
    """Ask which channel shows which stain, what to explain, and how; None if the user cancels.

    Returns:
        Stains of the channels, where their order comes from, the treatment, the opacity, and whether to attribute.
    """
    dialog, choices = GenericDialog("phenoserve: image"), list(treatments)
    choices.insert(0, PREDICTED)
    likely, origin, advice = preset(names, stains)
    options = list(stains)
    options.insert(0, CHOOSE)
    dialog.addMessage("\n".join(wrap(advice, LINE_CHARACTERS)))
    for index, stain in enumerate(likely):
        name = names[index][:40]
        label = "Channel_%d%s" % (index + 1, " (%s)" % name if name else "")
        dialog.addChoice(label, options, stain)
    dialog.addChoice("Evidence for", choices, PREDICTED)
    dialog.addSlider("Opacity (%)", 0, 100, 50)
    dialog.addCheckbox("Stains: how much each adds (takes %d passes)" % 2 ** len(stains), False)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    chosen = [dialog.getNextChoice() for _ in names]
    if origin is None or chosen != likely:
        origin = BY_HAND
    check_stains(chosen, stains, advice)
    treatment = dialog.getNextChoice()
    return chosen, origin, treatment, dialog.getNextNumber() / 100.0, dialog.getNextBoolean()


def main():
    """Ask, send, show."""
    image = IJ.getImage()
    service = ask_where()
    if service is None:
        return
    manifest = service.bundle()
    stains = manifest["input"]["channels"]
    channels = channels_of(image, stains)
    asked = ask_what([name for name, _ in channels], stains, manifest["treatments"])
    if asked is None:
        return
    chosen, origin, treatment, opacity, wants_stains = asked
    tiff = to_tiff([processor for _, processor in channels])
    IJ.showStatus("phenoserve: prediction")
    answer = service.predict(tiff, chosen)
    probability_table(answer, origin).show("phenoserve: " + image.getTitle())
    treatment = answer["prediction"]["treatment"] if treatment == PREDICTED else treatment
    IJ.showStatus("phenoserve: evidence for " + treatment)
    show_evidence(image, service.heatmap(tiff, chosen, treatment), opacity)
    if wants_stains:
        IJ.showStatus("phenoserve: stains that speak for " + treatment)
        table = stain_table(service.stains(tiff, chosen, treatment))
        table.show("phenoserve: stains for %s, %s" % (treatment, image.getTitle()))
    IJ.showStatus("phenoserve: " + treatment)
    for remark in remarks(image, answer, origin):
        IJ.log("phenoserve, %s: %s" % (image.getTitle(), remark))


# Jython names a script one or the other, by its version.
if __name__ in ("__main__", "__builtin__"):
    try:
        main()
    except (ServiceError, ValueError) as error:
        IJ.error("phenoserve", error.args[0])  # `str` knows ASCII alone

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from phenoclient import UnusableStackError
from phenoclient.napari.matching import BY_PLACE

from .conftest import KEY

pytestmark = [
    pytest.mark.viewer,
    pytest.mark.filterwarnings(
        "ignore::pydantic.warnings.PydanticDeprecatedSince20"
    ),  # npe2's and napari's models
]

STAINS = ("Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA")
NAMES = ("Hoechst 33342", "Concanavalin A", "phalloidin-AF568", "SYTO 14", "Mito_Tracker", "wga")
COSINE, SINE = np.cos(np.pi / 6), np.sin(np.pi / 6)
ROTATE = np.array([[1, 0, 0], [0, COSINE, -SINE], [0, SINE, COSINE]])
SCALE, TRANSLATE = np.array([0.65, 0.65]), np.array([100.0, -40.0])


@pytest.fixture
def stack(tiny_module) -> np.ndarray:
    return tiny_module.random_stack(np.random.default_rng(5), (6, 128, 192), "uint16")


def open_layers(viewer, stack: np.ndarray, names=NAMES) -> None:
    """One layer a channel, from the last to the first: their order says nothing."""
    for name, channel in reversed(list(zip(names, stack, strict=True))):
        viewer.add_image(channel, name=name, scale=SCALE, translate=TRANSLATE)


def connect(dock, wait_until, url: str, api_key: str = KEY) -> None:
    dock.url.setText(url)
    dock.api_key.setText(api_key)
    press(dock.connect_button, dock, wait_until)


def press(button, dock, wait_until) -> None:
    button.click()
    wait_until(dock.connect_button.isEnabled)


def heatmap_of(viewer):
    """The one heatmap among the layers."""
    (layer,) = [layer for layer in viewer.layers if "phenoserve" in layer.metadata]
    return layer


def test_the_heatmap_lies_on_the_field(viewer, dock, wait_until, service_url, client, stack):
    """Six open layers, run from the dock, give one layer: the service's values, on the field's place in the world."""
    open_layers(viewer, stack)
    connect(dock, wait_until, service_url)
    assert {stain: choice.currentText() for stain, choice in dock.stain_choices.items()} == dict(
        zip(STAINS, NAMES, strict=True)
    )
    press(dock.run_button, dock, wait_until)
    expected = client.explain(stack, channels=STAINS)
    layer = heatmap_of(viewer)
    assert layer.name == f"Grad-CAM: {expected.treatment}"
    np.testing.assert_array_equal(layer.data, expected.heatmap.values)
    cell_px = np.array(expected.heatmap.scale_px)
    np.testing.assert_allclose(layer.scale, SCALE * cell_px)
    np.testing.assert_allclose(layer.translate, TRANSLATE + SCALE * (cell_px - 1) / 2)
    np.testing.assert_allclose(
        layer.data_to_world(np.array(layer.data.shape) - 0.5),
        viewer.layers[NAMES[0]].data_to_world(np.array(stack.shape[1:]) - 0.5),
    )
    assert layer.contrast_limits == [0, pytest.approx(expected.heatmap.max)]
    assert layer.metadata["phenoserve"]["layers"] == dict(zip(STAINS, NAMES, strict=True))
    assert dock.probabilities.values == dict(client.predict(stack, channels=STAINS).probabilities)
    assert not dock.stains.isVisibleTo(dock)
    assert viewer.screenshot(canvas_only=False, flash=False).any()


def test_another_treatment_shows_its_map(viewer, dock, wait_until, service_url, client, stack):
    """Picking a treatment, and running again, give the one layer new values and leave the user's opacity alone."""
    open_layers(viewer, stack)
    connect(dock, wait_until, service_url)
    dock.attribution.setChecked(True)
    press(dock.run_button, dock, wait_until)
    layer = heatmap_of(viewer)
    layer.opacity = 0.3
    for treatment in client.bundle().treatments:
        dock.treatment.setCurrentText(treatment)
        expected = client.explain(stack, treatment=treatment, stains=True, channels=STAINS)
        assert heatmap_of(viewer) is layer
        assert layer.name == f"Grad-CAM: {treatment}"
        np.testing.assert_array_equal(layer.data, expected.heatmap.values)
        assert dock.stains.isVisibleTo(dock)
        assert dock.stains.values == pytest.approx(dict(expected.stains.values), abs=1e-5)
    press(dock.run_button, dock, wait_until)
    assert heatmap_of(viewer) is layer
    assert layer.opacity == 0.3


def test_a_field_elsewhere_has_its_heatmap_there(viewer, dock, wait_until, service_url, stack):
    """Where the layers have moved since, running again exchanges the heatmap for one at their new place."""
    open_layers(viewer, stack)
    connect(dock, wait_until, service_url)
    press(dock.run_button, dock, wait_until)
    place = heatmap_of(viewer).translate
    shift = np.array([7.0, -3.0])
    for name in NAMES:
        viewer.layers[name].translate += shift
    press(dock.run_button, dock, wait_until)
    np.testing.assert_allclose(heatmap_of(viewer).translate, place + shift)


def test_one_layer_of_all_channels_is_a_stack(viewer, dock, wait_until, service_url, client, stack):
    """A layer `(channel, y, x)` is taken in the bundle's order, and a rotated one has a rotated heatmap."""
    viewer.add_image(stack, name="field", scale=(1, *SCALE), translate=(0, *TRANSLATE), rotate=ROTATE)
    connect(dock, wait_until, service_url)
    press(dock.run_button, dock, wait_until)
    layer = heatmap_of(viewer)
    np.testing.assert_array_equal(layer.data, client.explain(stack, channels=STAINS).heatmap.values)
    field = viewer.layers["field"]
    for corner in ((-0.5, -0.5), (127.5, -0.5), (127.5, 191.5)):
        cell = (np.array(corner) + 0.5) / client.explain(stack).heatmap.scale_px - 0.5
        np.testing.assert_allclose(layer.data_to_world(cell), field.data_to_world((0, *corner))[1:])


@pytest.mark.parametrize(
    ("names", "advice", "taken"),
    [
        (NAMES, "Proposed by the layers' names.", "by the layers' names"),
        (tuple("abcdef"), f"Proposed {BY_PLACE}. Check it before you run.", BY_PLACE),
    ],
)
def test_the_dock_says_where_the_order_came_from(
    viewer, dock, wait_until, service_url, stack, names, advice, taken
):
    """Before it is sent and after it is answered the dock says whether names, places or the user told the stains."""
    for name, channel in zip(names, stack, strict=True):
        viewer.add_image(channel[np.newaxis, np.newaxis], name=name)
    connect(dock, wait_until, service_url)
    assert dock.proposal.text() == advice
    press(dock.run_button, dock, wait_until)
    assert dock.channel_order.text() == f"Channels were taken {taken}."
    assert heatmap_of(viewer).metadata["phenoserve"]["channel_order_from"] == taken
    first, second = dock.stain_choices["Hoechst"], dock.stain_choices["ConA"]
    first.setCurrentText(names[1])
    second.setCurrentText(names[0])
    press(dock.run_button, dock, wait_until)
    assert dock.channel_order.text() == "Channels were taken as chosen in the dock."


def test_names_that_contradict_the_order_leave_the_choice_to_the_user(
    viewer, dock, wait_until, service_url, stack
):
    """Where one name stands at another stain's place, nothing else is proposed and both readings are shown."""
    for name, channel in zip(["a", "b", "Hoechst", "d", "e", "f"], stack, strict=True):
        viewer.add_image(channel, name=name)
    connect(dock, wait_until, service_url)
    assert [choice.currentText() for choice in dock.stain_choices.values()] == ["Hoechst", *[""] * 5]
    assert "named a, b, Hoechst, d, e, f" in dock.proposal.text()
    assert ", ".join(STAINS) in dock.proposal.text()
    dock.run_button.click()
    assert "No layer is chosen for ConA" in dock.status.text()


def test_layers_that_come_and_go_are_offered(viewer, dock, wait_until, service_url, stack):
    """Proposals follow the open layers; what the user chose stays while its layer is there."""
    connect(dock, wait_until, service_url)
    dna, er = dock.stain_choices["Hoechst"], dock.stain_choices["ConA"]
    assert dna.currentIndex() == -1
    assert dock.proposal.text() == "Open the channels of one field as image layers."
    viewer.add_image(stack[0], name="hoechst")
    assert dna.currentText() == "hoechst"
    open_layers(viewer, stack)
    assert dna.currentText() == ""  # two layers are named for it
    viewer.layers.remove("hoechst")
    viewer.layers["Hoechst 33342"].name = "Hoechst"
    assert dna.currentText() == "Hoechst"
    dna.setCurrentText("wga")
    viewer.layers.remove("Concanavalin A")
    assert (dna.currentText(), er.currentText()) == ("wga", "")
    viewer.layers.remove("wga")
    assert (dna.currentText(), er.currentText()) == ("Hoechst", "")
    viewer.add_labels(np.zeros((8, 8), dtype=int), name="cells")
    viewer.add_image(np.zeros((8, 8, 3), np.uint8), name="colours", rgb=True)
    assert (dna.findText("cells"), dna.findText("colours")) == (-1, -1)
    assert "Not offered: 'cells' is a layer of labels." in dock.left_out.text()
    assert "Not offered: 'colours' is an RGB image." in dock.left_out.text()


def test_what_makes_no_stack_is_not_sent(viewer, dock, wait_until, service_url, stack):
    """Layers that make no stack are refused in the dock, by name, with no request and no layer."""
    open_layers(viewer, stack)
    connect(dock, wait_until, service_url)
    dock.stain_choices["WGA"].setCurrentIndex(-1)
    dock.run_button.click()
    assert dock.connect_button.isEnabled()
    assert "No layer is chosen for WGA" in dock.status.text()
    assert len(viewer.layers) == len(NAMES)


def test_the_services_words_stand_in_the_dock(viewer, dock, wait_until, service_url, client, stack):
    """A refused key, too small a field and a service that is gone are told in the service's or the client's words."""
    connect(dock, wait_until, service_url, "")
    assert "401 key_missing" in dock.status.text()
    connect(dock, wait_until, service_url, "wrong")
    assert "401 key_wrong" in dock.status.text()
    connect(dock, wait_until, service_url)
    assert dock.status.text() == ""
    open_layers(viewer, stack[:, :20, :20])
    press(dock.run_button, dock, wait_until)
    with pytest.raises(UnusableStackError) as refused:
        client.predict(stack[:, :20, :20])
    assert str(refused.value) in dock.status.text()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    connect(dock, wait_until, url)
    assert f"No answer from {url}" in dock.status.text()
    connect(dock, wait_until, "nowhere")
    assert "Expected an address" in dock.status.text()
    assert not dock.run_button.isEnabled()
    assert len(viewer.layers) == len(NAMES)


class SilentService:
    """Takes one connection and says nothing; knows when it came and when the other side left."""

    def __init__(self, server: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        self.came, self.left = threading.Event(), threading.Event()
        self._server = server

    def listen(self) -> None:
        """Waits for the connection, then for its end."""
        connection, _ = self._server.accept()
        with connection:
            self.came.set()
            while connection.recv(65536):
                pass
        self.left.set()


@pytest.fixture
def silent_service() -> Iterator[SilentService]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        service = SilentService(server)
        threading.Thread(target=service.listen, daemon=True).start()
        yield service


def test_a_request_can_be_cancelled(dock, wait_until, silent_service):
    """While a request runs the viewer goes on, and cancelling it closes its connection."""
    from qtpy.QtCore import QTimer

    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(len(ticks)))
    timer.start(10)
    dock.url.setText(silent_service.url)
    dock.connect_button.click()
    wait_until(silent_service.came.is_set)
    num_ticks = len(ticks)
    wait_until(lambda: len(ticks) > num_ticks + 3)
    timer.stop()
    assert not dock.connect_button.isEnabled()
    dock.cancel_button.click()
    wait_until(silent_service.left.is_set)
    assert dock.status.text() == "Cancelled."
    assert dock.connect_button.isEnabled()


def test_closing_the_dock_drops_its_request(viewer, dock, wait_until, silent_service):
    """A dock that is closed while a request runs drops it, and the viewer goes on."""
    dock.url.setText(silent_service.url)
    dock.connect_button.click()
    wait_until(silent_service.came.is_set)
    viewer.window.remove_dock_widget(dock)
    wait_until(silent_service.left.is_set)
    viewer.add_image(np.zeros((8, 8)))


def test_closing_the_viewer_drops_its_request(viewer, dock, wait_until, silent_service):
    """A viewer that is closed while a request runs does not wait for it."""
    dock.url.setText(silent_service.url)
    dock.connect_button.click()
    wait_until(silent_service.came.is_set)
    viewer.close()
    wait_until(silent_service.left.is_set)

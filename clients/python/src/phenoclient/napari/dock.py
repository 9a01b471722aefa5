"""The dock widget: choose the service, say which layer is which stain, run, look at the answer."""

import os
from collections.abc import Callable, Coroutine
from typing import Any

from qtpy.QtCore import QCoreApplication, QEvent, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import FunctionWorker

from phenoclient.errors import StackArgumentError
from phenoclient.napari.asking import Answer, Service, ask_about, ask_for_bundle
from phenoclient.napari.bars import Bars
from phenoclient.napari.heatmap import is_heatmap, show_heatmap
from phenoclient.napari.matching import BY_HAND, propose
from phenoclient.napari.planes import Plane, check, planes_of
from phenoclient.napari.qt import offer, on
from phenoclient.napari.request import Latest, Outcome, Request
from phenoclient.napari.viewer import ImageLayer, Viewer
from phenoclient.results import ServedBundle
from phenoclient.settings import DEFAULT_URL

_NOTHING_CHOSEN = "choose a layer"
_NARROWEST_PX = 340  # nothing is cut off, as the content scrolls up and down only


class ExplainStack(QWidget):
    """Sends open layers as a stack and lays the heatmap of the answer over them.

    Args:
        napari_viewer: The viewer; napari passes it by this name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._service = Service(DEFAULT_URL)
        self._bundle: ServedBundle | None = None
        self._answer: Answer | None = None
        self._latest = Latest()
        self._planes: list[Plane] = []
        self._proposal = propose((), ())
        self._proposed: dict[str, str] = {}  # what a choice was set to; where it differs, the user has chosen

        self.url = QLineEdit(os.environ.get("PHENOCLIENT_URL", DEFAULT_URL))
        self.api_key = QLineEdit(os.environ.get("PHENOCLIENT_API_KEY", ""))
        self.api_key.setEchoMode(QLineEdit.EchoMode.Password)
        self.api_key.setPlaceholderText("where the service asks for one")
        self.connect_button = QPushButton("Connect")
        self.served = _label()
        self.stain_choices: dict[str, QComboBox] = {}
        self.proposal = _label()
        self.left_out = _label()
        self.attribution = QCheckBox("Which stains speak for it (slow)")
        self.run_button = QPushButton("Run")
        self.cancel_button = QPushButton("Cancel")
        self.status = _label()
        self.treatment = QComboBox()
        self.predicted = _label()
        self.channel_order = _label()
        self.notices = _label()
        self.probabilities = Bars()
        self.stains_title = _label()
        self.stains = Bars()

        self._stain_form = QFormLayout()
        self._results = QFrame()
        self._lay_out()
        self._listen()
        self.reset_choices()
        self._show_state()

    def reset_choices(self, _event: object = None) -> None:
        """Offers the layers that are open now; napari calls this whenever they change."""
        layers = [
            layer
            for layer in self._viewer.layers
            if not (isinstance(layer, ImageLayer) and is_heatmap(layer))
        ]
        self._planes, left_out = planes_of(layers)
        names = [plane.name for plane in self._planes]
        by_hand = {
            stain: choice.currentText()
            for stain, choice in self.stain_choices.items()
            if choice.currentText() != self._proposed.get(stain, "") and choice.currentText() in names
        }
        self._proposal = propose(list(self.stain_choices), names)
        self._proposed = {
            stain: "" if index is None or names[index] in by_hand.values() else names[index]
            for stain, index in zip(self.stain_choices, self._proposal.planes, strict=True)
        }
        for stain, choice in self.stain_choices.items():
            offer(choice, names, by_hand.get(stain) or self._proposed[stain])
        self.proposal.setText(self._proposal.advice)
        self.proposal.setVisible(bool(self.stain_choices))
        self.left_out.setText("\n".join(f"Not offered: {why}" for why in left_out))
        self.left_out.setVisible(bool(left_out) and bool(self.stain_choices))

    def changeEvent(self, a0: QEvent | None) -> None:
        """Drops the running request when napari takes the widget out of its dock."""
        if a0 is not None and a0.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._cancel()
        super().changeEvent(a0)

    def _lay_out(self) -> None:
        service = QFormLayout()
        service.addRow("Service", self.url)
        service.addRow("API key", self.api_key)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.cancel_button)
        treatment = QFormLayout()
        treatment.addRow("Heatmap of", self.treatment)
        results = QVBoxLayout(self._results)
        results.setContentsMargins(0, 0, 0, 0)
        for part in (self.predicted, self.channel_order, self.notices, self.probabilities):
            results.addWidget(part)
        results.addLayout(treatment)
        for part in (self.stains_title, self.stains):
            results.addWidget(part)
        content = QWidget()
        rows = QVBoxLayout(content)
        rows.addLayout(service)
        rows.addWidget(self.connect_button)
        rows.addWidget(self.served)
        rows.addLayout(self._stain_form)
        rows.addWidget(self.proposal)
        rows.addWidget(self.left_out)
        rows.addWidget(self.attribution)
        rows.addLayout(buttons)
        rows.addWidget(self.status)
        rows.addWidget(self._results)
        rows.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        scroll.setMinimumWidth(_NARROWEST_PX)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)

    def _listen(self) -> None:
        on(self.connect_button.clicked, self._connect)
        on(self.url.returnPressed, self._connect)
        on(self.api_key.returnPressed, self._connect)
        on(self.run_button.clicked, self._run)
        on(self.cancel_button.clicked, self._cancel)
        on(self.treatment.currentTextChanged, self._show_treatment)
        # Qt waits for its threads before it ends. By then this widget may be gone, so it is no part of what is called.
        latest = self._latest
        on(self.destroyed, lambda *_: latest.cancel())
        application = QCoreApplication.instance()
        if application is not None:
            on(application.aboutToQuit, latest.cancel)

    def _connect(self, _checked: bool = False) -> None:
        service = Service(self.url.text().strip(), self.api_key.text() or None)
        self._service, self._bundle = service, None
        self._start(lambda: ask_for_bundle(service), "Asking for the bundle …")

    def _run(self, _checked: bool = False) -> None:
        if self._bundle is None:
            return
        service, stains, with_attribution = self._service, self._bundle.channels, self.attribution.isChecked()
        order_origin = self._order_origin()
        try:
            planes = check({stain: self._chosen(choice) for stain, choice in self.stain_choices.items()})
        except StackArgumentError as error:
            self._show_error(str(error))
            return
        self._start(
            lambda: ask_about(
                planes, service, stains, order_origin=order_origin, with_attribution=with_attribution
            ),
            "Asking about the stack …",
        )

    def _order_origin(self) -> str:
        """How it was told which layer shows which stain."""
        chosen = {stain: choice.currentText() for stain, choice in self.stain_choices.items()}
        return self._proposal.origin if self._proposal.origin and chosen == self._proposed else BY_HAND

    def _chosen(self, choice: QComboBox) -> Plane | None:
        index = choice.currentIndex()
        return self._planes[index] if index >= 0 else None

    def _start(self, ask: Callable[[], Coroutine[Any, Any, Any]], status: str) -> None:
        request = Request(ask)
        self._latest.exchange(request)
        worker = FunctionWorker(request.run)
        on(worker.returned, self._receive)
        on(worker.errored, self._receive_failure)
        worker.start()
        self.status.setText(status)
        self._show_state()

    def _cancel(self, _checked: bool = False) -> None:
        if self._latest.request is not None:
            self._latest.cancel()
            self.status.setText("Cancelled.")
            self._show_state()

    def _receive(self, outcome: Outcome) -> None:
        if outcome.request is not self._latest.request:
            return  # cancelled meanwhile, or another one was started
        self._latest.cancel()
        if outcome.error is not None:
            self._show_error(outcome.error)
        elif isinstance(outcome.value, ServedBundle):
            self._show_bundle(outcome.value)
        elif isinstance(outcome.value, Answer):
            self._show_answer(outcome.value)
        self._show_state()

    def _receive_failure(self, error: Exception) -> None:
        self._latest.cancel()
        self._show_error(f"{type(error).__name__}: {error}")
        self._show_state()

    def _show_bundle(self, bundle: ServedBundle) -> None:
        self._bundle = bundle
        self.served.setText(f"{bundle.name} {bundle.version} on {bundle.device}. Which layer is which stain?")
        while self._stain_form.rowCount():
            self._stain_form.removeRow(0)
        self.stain_choices, self._proposed = {}, {}
        for stain in bundle.channels:
            choice = QComboBox()
            choice.setPlaceholderText(_NOTHING_CHOSEN)
            choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            self._stain_form.addRow(stain, choice)
            self.stain_choices[stain] = choice
        self.attribution.setToolTip(
            f"Runs the network once for each of the {2 ** len(bundle.channels)} subsets of the stains."
        )
        self.status.clear()
        self.reset_choices()

    def _show_answer(self, answer: Answer) -> None:
        self._answer = answer
        self.status.clear()
        prediction = answer.prediction
        most_probable = prediction.prediction
        sentences = [f"{most_probable.treatment}, probability {most_probable.probability:.2f}."]
        if prediction.prediction_set is not None:
            names = ", ".join(prediction.prediction_set.treatments) or "none"
            sentences.append(f"At {prediction.prediction_set.coverage:.0%} coverage: {names}.")
        elif prediction.prediction_set_reason is not None:
            sentences.append(prediction.prediction_set_reason)
        if prediction.in_distribution is False:
            sentences.append("Unlike what the model learned from: do not trust it.")
        elif prediction.distribution_reason is not None:
            sentences.append(prediction.distribution_reason)
        self.predicted.setText(" ".join(sentences))
        self.channel_order.setText(f"Channels were taken {answer.order_origin}.")
        notices = prediction.stack.notices
        self.notices.setText("\n".join(f"⚠ {notice.detail}" for notice in notices))
        self.notices.setVisible(bool(notices))
        self.probabilities.show_values(prediction.probabilities, limit=1.0)
        offer(self.treatment, answer.explanations, most_probable.treatment)
        self._show_treatment(most_probable.treatment)

    def _show_treatment(self, treatment: str) -> None:
        if self._answer is None or not treatment:
            return
        explanation = self._answer.explanations[treatment]
        stains = zip(explanation.stack.channels, self._answer.planes, strict=True)
        show_heatmap(self._viewer, self._answer, treatment, {stain: plane.name for stain, plane in stains})
        attribution = explanation.stains
        self.stains_title.setVisible(attribution is not None)
        self.stains.setVisible(attribution is not None)
        if attribution is not None:
            self.stains_title.setText(f"What each stain adds to the logit of {treatment}")
            self.stains.show_values(attribution.values)

    def _show_error(self, message: str) -> None:
        self.status.setText(f"⚠ {message}")

    def _show_state(self) -> None:
        is_running = self._latest.request is not None
        self.connect_button.setEnabled(not is_running)
        self.run_button.setEnabled(not is_running and self._bundle is not None)
        self.cancel_button.setEnabled(is_running)
        for part in (self.attribution, self.run_button, self.cancel_button):
            part.setVisible(bool(self.stain_choices) or self._bundle is not None)
        self._results.setVisible(self._answer is not None)


def _label() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)  # a service's words are not markup
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label

"""All that the tests of the explanations found, as values."""

from dataclasses import asdict, dataclass
from typing import Any

from phenotrain.explain.localisation import Inside, Localisation
from phenotrain.explain.perturbation import Perturbation
from phenotrain.explain.randomisation_result import MAX_CORRELATION, Randomisation
from phenotrain.explain.stains import StainFindings


@dataclass(frozen=True)
class ExplanationFindings:
    """What was asked of the explanations, and what they answered.

    Attributes:
        treatments: The treatments that were explained.
        num_treatments: Treatments of the task; more than were explained where there are many.
        num_sites: Held-out sites whose maps were judged.
        num_right: Those among them whose most probable class is the right one.
        cell_px: Side of a cell of the map, in pixels of the files.
        simulated: Whether the images are simulated.
        randomisation: None without the Keras networks.
        perturbation: None without the Keras networks.
        truth: Agreement of the maps with the simulated truth, all sites whose truth is not empty; None where the
            truth is not known or nowhere.
        truth_right: The same for the sites that were classified right; None without such.
        foreground: How much of the maps lies on cells.
        stains: Stain attribution; None with too many stains.
    """

    treatments: tuple[str, ...]
    num_treatments: int
    num_sites: int
    num_right: int
    cell_px: int
    simulated: bool
    randomisation: Randomisation | None
    perturbation: Perturbation | None
    truth: Localisation | None
    truth_right: Localisation | None
    foreground: Inside | None
    stains: StainFindings | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values, with the verdicts that are yes or no."""
        values = asdict(self)
        if self.randomisation is not None:
            values["randomisation"] |= {
                "max_correlation": MAX_CORRELATION,
                "passes": self.randomisation.passes,
            }
        if self.perturbation is not None:
            for name in ("deletion", "insertion"):
                values["perturbation"][name]["passes"] = getattr(self.perturbation, name).passes
        if self.stains is not None:
            for entry, effect in zip(values["stains"]["effects"], self.stains.effects, strict=True):
                entry["is_significant"] = effect.is_significant
        return values

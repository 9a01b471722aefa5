"""The heatmap as a layer of the viewer: one at a time, exchanged when another treatment is picked."""

from typing import Any

from phenoclient.napari.asking import Answer
from phenoclient.napari.placement import Place, place_of
from phenoclient.napari.viewer import ImageLayer, Viewer, image_layers

MARK = "phenoserve"
_OPACITY = 0.6  # as on the service's own page


def is_heatmap(layer: ImageLayer) -> bool:
    """Whether a layer is the plugin's own, rather than the user's."""
    return MARK in layer.metadata


def show_heatmap(viewer: Viewer, answer: Answer, treatment: str, stains: dict[str, str]) -> None:
    """Lays a treatment's heatmap over the field that it was asked for.

    The layer that is there already is given the new values, and keeps what the user set (opacity, colours); where the
    field lies elsewhere it is exchanged for a new one.

    Args:
        viewer: The viewer.
        answer: What the service said.
        treatment: The treatment whose map is shown.
        stains: Layer that was taken for each stain; kept in the metadata.
    """
    explanation = answer.explanations[treatment]
    heatmap = explanation.heatmap
    place = answer.planes[0].place.of_cells(heatmap.scale_px)
    name = f"Grad-CAM: {treatment}"
    limits = (0.0, heatmap.max or 1.0)
    bundle = explanation.bundle
    metadata: dict[str, Any] = {
        MARK: {
            "bundle": {"name": bundle.name, "version": bundle.version, "digest": bundle.digest},
            "treatment": treatment,
            "probability": answer.prediction.probabilities[treatment],
            "cell_px": heatmap.scale_px,
            "layers": stains,
            "channel_order_from": answer.order_origin,
            "notices": [notice.detail for notice in explanation.stack.notices],
        }
    }
    for layer in image_layers(viewer):
        if not is_heatmap(layer):
            continue
        if _lies_at(layer, place):
            layer.data = heatmap.values
            layer.contrast_limits = limits
            layer.name = name
            layer.metadata.update(metadata)
            return
        viewer.layers.remove(layer)
    viewer.add_image(
        heatmap.values,
        name=name,
        colormap="inferno",
        blending="additive",  # where there is no evidence the map is black, and adds nothing
        opacity=_OPACITY,
        contrast_limits=limits,
        interpolation2d="linear",
        metadata=metadata,
        **place.arguments(),
    )


def _lies_at(layer: ImageLayer, place: Place) -> bool:
    return place_of(layer).agrees_with(place)

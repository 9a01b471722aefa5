"""Answers for eyes, where standard output is a terminal; programs get JSON lines."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from phenoclient.results import Embedding, Explanation, Prediction, ServedBundle

_NUM_SHOWN = 6


def readable(name: str, answer: Prediction | Embedding | Explanation) -> RenderableType:
    """Lays an answer out.

    Args:
        name: What to call the stack.
        answer: An answer about it.
    """
    if isinstance(answer, Prediction):
        return _prediction(name, answer)
    if isinstance(answer, Embedding):
        return _embedding(name, answer)
    return _explanation(name, answer)


def readable_bundle(bundle: ServedBundle) -> RenderableType:
    """Lays out which bundle is served."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, text in (
        ("bundle", f"{bundle.name} {bundle.version}"),
        ("digest", bundle.digest),
        ("device", bundle.device),
        ("channels, in order", ", ".join(bundle.channels)),
        ("treatments", ", ".join(bundle.treatments)),
        ("control", bundle.control),
    ):
        table.add_row(what, Text(text))
    return table


def _prediction(name: str, answer: Prediction) -> RenderableType:
    in_set = () if answer.prediction_set is None else answer.prediction_set.treatments
    table = _table("treatment", "probability", "versus control", "forest", "in the set")
    for treatment, probability in sorted(answer.probabilities.items(), key=lambda item: -item[1]):
        versus = answer.versus_control.get(treatment)
        table.add_row(
            Text(treatment, style="bold" if treatment == answer.prediction.treatment else ""),
            _number(probability),
            "" if versus is None else _number(versus),
            _number(answer.forest.probabilities[treatment]),
            "yes" if treatment in in_set else "",
        )
    parts = [
        f"{answer.prediction.treatment}, probability {_number(answer.prediction.probability)}",
        f"forest: {answer.forest.treatment}, {_number(answer.forest.probability)}",
    ]
    if answer.prediction_set is None:
        parts.append("no prediction set")
    if answer.in_distribution is None:
        parts.append("not known whether it is like what the model learned from")
    else:
        is_like = "like" if answer.in_distribution else "UNLIKE"
        parts.append(f"{is_like} what the model learned from")
    return Group(Text(name, style="bold"), *map(Text, parts), table)


def _embedding(name: str, answer: Embedding) -> RenderableType:
    shown = ", ".join(_number(float(value)) for value in answer.embedding[:_NUM_SHOWN])
    rest = ", …" if answer.dim > _NUM_SHOWN else ""
    return Group(Text(name, style="bold"), Text(f"{answer.kind}, {answer.dim} numbers: {shown}{rest}"))


def _explanation(name: str, answer: Explanation) -> RenderableType:
    heatmap = answer.heatmap
    row, column = divmod(int(heatmap.values.argmax()), heatmap.width)
    y, x = ((index + 0.5) * px for index, px in zip((row, column), heatmap.scale_px, strict=True))
    where = (
        f"the evidence is strongest ({_number(heatmap.max)}) around y {y:.0f}, x {x:.0f} px"
        if heatmap.max > 0
        else "nothing in the field speaks for it"
    )
    parts: list[RenderableType] = [
        Text(name, style="bold"),
        Text(
            f"{answer.treatment}: {where}; a map of {heatmap.height} by {heatmap.width} cells. Predicted: "
            f"{answer.prediction.treatment}, probability {_number(answer.prediction.probability)}"
        ),
    ]
    if answer.stains is not None:
        table = _table("stain", "adds to the logit")
        for stain, value in sorted(answer.stains.values.items(), key=lambda item: -abs(item[1])):
            table.add_row(Text(stain), f"{value:+.3g}")
        table.add_section()
        table.add_row("without any stain", _number(answer.stains.baseline_logit))
        table.add_row("with all", _number(answer.stains.logit))
        parts.append(table)
    return Group(*parts)


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"

"""The report's part about the encoder that was exported."""

from dataclasses import asdict

from phenotrain.encoder_choice import EncoderChoice
from phenotrain.report.section import Section, render


def encoder_section(choice: EncoderChoice) -> Section:
    """Say which encoder the bundle holds, and what it was chosen by."""
    return Section(
        key="encoder_choice",
        title="The exported encoder",
        html=render("encoder.html.j2", choice=choice),
        numbers={"text": choice.text, **asdict(choice)},
    )

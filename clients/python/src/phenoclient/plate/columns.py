"""The names of the results' columns, and what each holds."""

PROBABILITY = "probability_"
VERSUS_CONTROL = "versus_control_"
FOREST_PROBABILITY = "forest_probability_"
METADATA = "Metadata_"
FILE_NAME = "Metadata_FileName_"
WHOLE_STACK_FILE = "stack"
"""What stands for the stain in the column of a file that is a whole stack"""
FOLDER = "Metadata_Folder"
SEPARATOR = "|"
ROLE = "Metadata_role"
LEARNED = "Metadata_learned_from"
CONTROL, TREATED = "control", "treated"
_DOSE = "Metadata_treatment_conc"
VECTOR_PREFIXES = {"embedding": "emb_", "projection": "proj_"}
SITE = (
    "Metadata_experiment",
    "Metadata_Plate",
    "Metadata_Well",
    "Metadata_Site",
    "Metadata_site_id",
)
BUNDLE, DIGEST = "Metadata_bundle", "Metadata_bundle_digest"
_RESERVED = frozenset(name.casefold() for name in (*SITE, FOLDER, BUNDLE, DIGEST, ROLE, LEARNED))
_TEXTS = frozenset(
    {
        "channel_order",
        "channel_order_from",
        "notices",
        "predicted_treatment",
        "prediction_set",
        "prediction_set_reason",
        "distribution_reason",
        "forest_treatment",
        "code",
        "reason",
        "files",
    }
)


def column_type(name: str) -> type[str] | type[bool] | type[float]:
    """What a column of the results holds, by its name and never by its values, as a compound may be called 123."""
    if name in _TEXTS or (name.startswith(METADATA) and name != _DOSE):
        return str
    return bool if name == "in_distribution" else float


def is_reserved(name: str) -> bool:
    """Whether the results have a column of this name, or one that differs in case alone, beside a plate map's."""
    name = name.casefold()
    return name in _RESERVED or name.startswith(FILE_NAME.casefold())

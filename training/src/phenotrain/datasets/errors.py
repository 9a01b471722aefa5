"""What can be wrong with a dataset description."""


class DescriptionError(ValueError):
    """Raised when a description cannot be found, parsed or believed; names the file and the key."""

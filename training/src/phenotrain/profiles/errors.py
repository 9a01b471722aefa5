"""What a user can mend about profiles."""


class ProfileError(ValueError):
    """The screen or a file does not allow what was asked; the message says why and what to change."""

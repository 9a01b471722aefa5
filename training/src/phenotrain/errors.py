"""What can be wrong with what was asked of this package.

* PhenotrainError
  x RecipeError
  x ScreenError
    x SplitError
"""


class PhenotrainError(ValueError):
    """Root of what a user can mend; says what was found, what was expected and what to do."""


class RecipeError(PhenotrainError):
    """Raised when a recipe cannot be read, or a key of it is unknown or out of range; names the file and the key."""


class ScreenError(PhenotrainError):
    """Raised when a screen cannot be split, learned from or scored as asked."""


class SplitError(ScreenError):
    """Raised when a protocol is not possible on a screen.

    Args:
        reason: Why not, as a clause that follows the protocol's name.
        message: What to show instead, with the way out; the reason itself when None.
    """

    def __init__(self, reason: str, message: str | None = None) -> None:
        super().__init__(message or reason)
        self.reason = reason

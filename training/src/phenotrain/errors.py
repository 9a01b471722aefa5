"""What can be wrong with what was asked of this package.

* PhenotrainError
  x RecipeError
  x ScreenError
"""


class PhenotrainError(ValueError):
    """Root of what a user can mend; says what was found, what was expected and what to do."""


class RecipeError(PhenotrainError):
    """Raised when a recipe cannot be read, or a key of it is unknown or out of range; names the file and the key."""


class ScreenError(PhenotrainError):
    """Raised when a screen cannot be split, learned from or scored as asked."""

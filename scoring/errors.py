"""The root of every refusal in scoring; each concrete refusal lives beside its rule."""

from typing import ClassVar


class ScoringError(ValueError):
    """A refusal to compute a number; `code` is stable and may be shown to callers.

    It is a `ValueError` because scikit-learn expects estimators to refuse bad input with one.
    """

    code: ClassVar[str] = "scoring_error"

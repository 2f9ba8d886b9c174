"""What a user can do wrong in the scene."""

from __future__ import annotations

from ..errors import SScILDError


class SceneError(SScILDError, ValueError):
    """A node of the scene cannot be used; the sentence says why and what to do."""

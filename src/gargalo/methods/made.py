"""What a method gives back."""

from __future__ import annotations

from gargalo.model import LatentModel
from gargalo.objectives import Objective

Made = tuple[LatentModel, Objective]

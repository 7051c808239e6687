"""The table of contents: one short function a method, which says its parts and its objective.

The keyword-only parameters are the method's arguments everywhere: in Python, on the command line, in a
checkpoint. The first line of the docstring is its description.
"""

from gargalo.methods import (  # noqa: I001  (in the order in which they are listed)
    reconstruction,
    variational,
    bounds,
    posteriors,
    hierarchies,
    discrete,
    matching,
    restoration,
    music,
)

__all__ = [
    "bounds",
    "discrete",
    "hierarchies",
    "matching",
    "music",
    "posteriors",
    "reconstruction",
    "restoration",
    "variational",
]

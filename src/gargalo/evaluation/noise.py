"""Whether the noise of pictures is what an objective takes for granted."""

from __future__ import annotations

import torch

from gargalo.data.batches import Feed
from gargalo.data.source import Source
from gargalo.functional import noise_correlation
from gargalo.objectives import Objective

CORRELATED = 0.1  # noise that has been blurred by half a pixel has .18
LOOKED_AT = 256  # examples


@torch.no_grad()
def complaint(objective: Objective, source: Source, corruption: str) -> str | None:
    """What to say where training wants independent noise and a look at the pictures finds that it is not."""
    if not getattr(objective, "independent_noise", False):
        return None
    rows = source.indices("train")
    feed = Feed(source, rows[:: -(-len(rows) // LOOKED_AT)], LOOKED_AT, corruption)
    found, error = noise_correlation(torch.cat([batch.input for batch in feed.in_order()]))
    if abs(found) < CORRELATED + 3 * error:
        return None
    return (
        f"The noise of neighboring pixels is correlated ({found:.2f}), as after scaling, demosaicing, sharpening or "
        "JPEG; training without clean pictures takes it for detail and keeps it. Give pictures as they left the "
        "sensor, or pairs."
    )


def note(objective: Objective, source: Source, corruption: str) -> str | None:
    """What to say of figures where a model is asked for pictures without noise and there are none to compare with."""
    if not getattr(objective, "independent_noise", False) or corruption != "none" or source.inputs is not None:
        return None
    return (
        "Figures compare with the pictures as they were given, noise included: they say how much is changed, not how "
        "clean it is. With clean ones to compare with: gargalo evaluate RUN pairs:dirty=FOLDER,clean=FOLDER."
    )

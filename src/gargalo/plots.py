"""Arrays in, matplotlib figures out: no model, no file, nothing shown on a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def grid(images: np.ndarray, columns: int = 8, gap: int = 2) -> np.ndarray:
    """Pictures ``[N, C, H, W]``, uint8, laid out in rows: one picture ``[C, H', W']`` on white."""
    n, c, h, w = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    canvas = np.full((c, rows * (h + gap) - gap, columns * (w + gap) - gap), 255, np.uint8)
    for number, image in enumerate(images):
        y, x = (number // columns) * (h + gap), (number % columns) * (w + gap)
        canvas[:, y : y + h, x : x + w] = image
    return canvas


def heated(images: np.ndarray, heat: np.ndarray, full: float = 8.0) -> np.ndarray:
    """Pictures ``[N, C, H, W]``, uint8, and beside each the same in gray, red where ``heat`` ``[N, H, W]`` is high:
    ``[N, 3, H, 2 W]``. ``full`` is the heat, in standard deviations, that is wholly red."""
    color = images[:, :3] if images.shape[1] >= 3 else images[:, :1].repeat(3, 1)
    gray = color.mean(1, keepdims=True).repeat(3, 1)
    strength = np.clip(heat / full, 0, 1)[:, None]
    red = np.array([220, 30, 30])[:, None, None]
    return np.concatenate([color, (1 - strength) * gray + strength * red], 3).round().astype(np.uint8)


def sequences(values: np.ndarray, columns: int = 4, over: np.ndarray | None = None) -> Figure:
    """A panel for each of ``[N, T]`` tokens, as dots, or ``[N, T, C]`` numbers, as lines; bits, which are whole,
    as steps. ``over`` of the same shape is drawn on top in red."""
    from matplotlib.figure import Figure

    columns = min(columns, len(values))
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(2.4 * columns, 1.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    whole = values.dtype.kind != "f"
    for panel in panels[len(values) :]:
        panel.set_visible(False)
    for number, panel in enumerate(panels[: len(values)]):
        for shown, color in ((values, "0.35"), (over, "tab:red")):
            if shown is not None and shown.ndim == 2:
                panel.plot(shown[number], ".", color=color, markersize=3)
            elif shown is not None:
                panel.plot(shown[number], color=color, linewidth=0.8, drawstyle="steps-mid" if whole else "default")
        panel.tick_params(labelsize=6)
    return figure


def latent_map(codes: np.ndarray, labels: np.ndarray | None, names: Sequence[str] = ()) -> Figure:
    """A scatter of the first two of ``[N, D]`` coordinates, colored by ``[N]`` class numbers, perhaps with names."""
    figure, axes = _figure()
    if labels is None:
        axes.scatter(codes[:, 0], codes[:, 1], s=4, alpha=0.6)
    else:
        for label in np.unique(labels):
            rows = labels == label
            axes.scatter(codes[rows, 0], codes[rows, 1], s=4, alpha=0.6, label=names[label] if names else str(label))
        axes.legend(markerscale=3, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_xlabel("z0")
    axes.set_ylabel("z1")
    return figure


def bars(values: list[float]) -> Figure:
    """One bar a number."""
    figure, axes = _figure()
    axes.bar(range(len(values)), values)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("dimension of the code")
    axes.set_ylabel("nats an example")
    return figure


def lost(series: dict[str, list[float]]) -> Figure:
    """Shares of energy lost by spatial frequency, in equal bands from 0 to half a cycle a pixel."""
    figure, axes = _figure()
    for name, values in series.items():
        middles = (np.arange(len(values)) + 0.5) / (2 * len(values))
        axes.plot(middles, values, marker="o", label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("cycles a pixel: shapes to the left, details to the right")
    axes.set_ylabel("share of the energy that is lost")
    axes.legend(fontsize=8)
    return figure


def piano_roll(parts: dict[str, np.ndarray], bars: np.ndarray, drums: Sequence[str] = ()) -> Figure:
    """Notes ``[N, 4]`` of each part: start, end, pitch, velocity, with lines and numbers at the starts of ``bars``.

    Times are in any one unit. With names of ``drums`` the pitches are their numbers.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

    end = max((float(notes[:, 1].max()) for notes in parts.values() if len(notes)), default=1.0)
    figure = Figure(figsize=(min(3 + 0.6 * len(bars), 24), 2.5 if drums else 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, notes) in enumerate(parts.items()):
        start, stop, pitch, velocity = notes.astype(float).T
        corners = ((start, pitch - 0.45), (stop, pitch - 0.45), (stop, pitch + 0.45), (start, pitch + 0.45))
        color = np.repeat(_color(number)[None], len(notes), 0)
        color[:, 3] = 0.35 + 0.65 * velocity / 127
        axes.add_collection(PolyCollection(list(np.array(corners).transpose(2, 0, 1)), facecolors=color, label=name))
    axes.set_xlim(0, end)
    axes.autoscale_view(scalex=False)
    lines = range(0, len(bars), max(1, len(bars) // 400))  # thousands take seconds, and cannot be told apart
    axes.set_xticks(bars[:: lines.step], [str(bar + 1) if bar % max(1, len(bars) // 40) == 0 else "" for bar in lines])
    axes.grid(axis="x", alpha=0.4)
    axes.set_xlabel("bar")
    if drums:
        axes.set_yticks(range(len(drums)), drums)
        return figure
    axes.yaxis.set_major_locator(MultipleLocator(12))
    axes.yaxis.set_major_formatter(lambda pitch, _: f"C{pitch // 12 - 1:.0f}")
    axes.legend(fontsize=8, loc="upper right")
    return figure


def rolls(rows: Sequence[np.ndarray], length: int, columns: int = 4, over: Sequence[np.ndarray] = ()) -> Figure:
    """A small panel for each list of notes ``[N, 3]``: start, end, pitch, in ``length`` steps. Those ``over`` are drawn
    on top of them as red frames."""
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    columns = min(columns, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(2.4 * columns, 1.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flatten()
    for panel in panels[len(rows) :]:
        panel.set_visible(False)
    looks: tuple[dict[str, Any], ...] = (
        {"facecolors": "0.55"},
        {"facecolors": "none", "edgecolors": "tab:red", "linewidths": 1.2},
    )
    for number, panel in enumerate(panels[: len(rows)]):
        for notes, look in zip([rows[number], *over[number : number + 1]], looks, strict=False):
            start, stop, pitch = notes.astype(float).T
            corners = ((start, pitch - 0.45), (stop, pitch - 0.45), (stop, pitch + 0.45), (start, pitch + 0.45))
            panel.add_collection(PolyCollection(list(np.array(corners).transpose(2, 0, 1)), **look))
        panel.set_xlim(0, length)
        panel.tick_params(labelsize=6)
    panels[0].autoscale_view(scalex=False)
    return figure


def curves(steps: list[int], series: dict[str, list[float]]) -> Figure:
    """Lines over training steps."""
    figure, axes = _figure()
    for name, values in series.items():
        axes.plot(steps, values, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("nats an example")
    axes.legend(fontsize=8)
    return figure


def _color(number: int) -> np.ndarray:
    from matplotlib.colors import to_rgba

    return np.array(to_rgba(f"C{number % 10}"))


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    return figure, figure.subplots()

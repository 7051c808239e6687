"""A map as one interactive HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from PIL import Image

COLUMNS = 32  # thumbnails in a row of a sheet, and rows
THUMBNAIL = 64  # pixels, of the longer side, at the most


def map_page(
    title: str,
    positions: np.ndarray,
    names: Sequence[str],
    labels: np.ndarray | None,
    classes: Sequence[str],
    pictures: np.ndarray | None,
) -> str:
    """The page for places ``[N, 2]`` with a name each, perhaps class numbers ``[N]`` and pictures ``[N, C, H, W]``.

    Names may hold anything: they never become markup or code.
    """
    center = (positions.max(0) + positions.min(0)) / 2
    reach = max(float(np.abs(positions - center).max()), 1e-12)
    x, y = ((positions - center) / reach).round(4).T
    sheets, size = ([], (0, 0)) if pictures is None else _sheets(pictures)
    data: dict[str, Any] = {
        "x": x.tolist(), "y": y.tolist(), "names": list(names), "classes": [] if labels is None else list(classes),
        "labels": [-1] * len(names) if labels is None else labels.tolist(),
        "sheets": sheets, "size": size, "columns": COLUMNS, "perSheet": COLUMNS**2,
    }  # fmt: skip
    template = Template(files("gargalo").joinpath("assets/map.html").read_text())
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")  # </script> in a name ends no script
    return template.substitute(title=html.escape(title), data=text)


def _sheets(pictures: np.ndarray) -> tuple[list[str], tuple[int, int]]:
    """Thumbnails in a few large pictures, as data URIs, and the width and height of one."""
    step = max(1, -(-max(pictures.shape[2:]) // THUMBNAIL))
    small = pictures[:, :3, ::step, ::step] if pictures.shape[1] >= 3 else pictures[:, :1, ::step, ::step]
    n, channels, height, width = small.shape
    sheets: list[str] = []
    for start in range(0, n, COLUMNS**2):
        part = small[start : start + COLUMNS**2]
        rows = -(-len(part) // COLUMNS)
        canvas = np.zeros((rows * COLUMNS, channels, height, width), np.uint8)
        canvas[: len(part)] = part
        sheet = canvas.reshape(rows, COLUMNS, channels, height, width).transpose(0, 3, 1, 4, 2)
        sheet = sheet.reshape(rows * height, COLUMNS * width, channels)
        stream = io.BytesIO()
        image = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
        kind = "png" if channels == 1 else "jpeg"
        image.save(stream, kind, **({} if kind == "png" else {"quality": 85}))
        sheets.append(f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}")
    return sheets, (width, height)

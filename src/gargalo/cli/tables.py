"""Codes as files that other tools open: .npz, .csv, .parquet. Written part by part, as data may exceed the memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Table:
    """``parts`` yields codes ``[n, D]`` and the raw examples they are of, in order; the rest is of all rows."""

    names: tuple[str, ...]
    labels: Any
    classes: tuple[str, ...]
    kind: str
    parts: Iterator[tuple[Any, Any]]

    def label(self, row: int) -> str | None:
        return None if self.labels is None else self.classes[self.labels[row]]


def write_npz(table: Table, out: Path) -> int:
    """Arrays z, names and, where there are, labels. Returns how many numbers a code has, as all of these do."""
    import numpy as np

    codes = np.concatenate([codes for codes, _ in table.parts])
    extra = {} if table.labels is None else {"labels": table.labels}
    with out.open("wb") as file:
        np.savez_compressed(file, z=codes, names=np.array(table.names), **extra)
    return codes.shape[1]


def write_csv(table: Table, out: Path) -> int:
    """A line an example: name, label, z0, z1 ..."""
    row, numbers = 0, 0
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        for codes, _ in table.parts:
            if not row:
                numbers = codes.shape[1]
                writer.writerow(["name", "label", *(f"z{number}" for number in range(numbers))])
            for code in codes.tolist():
                writer.writerow([table.names[row], table.label(row) or "", *code])
                row += 1
    return numbers


def write_parquet(table: Table, out: Path) -> int:
    """name, label, embedding and, of pictures, image as Hugging Face's datasets keep it: bytes of a PNG and a path."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'gargalo[parquet]', or take .csv or .npz.") from error
    fields = [pa.field("name", pa.string()), pa.field("label", pa.string())]
    fields.append(pa.field("embedding", pa.list_(pa.float32())))
    if table.kind == "image":
        fields.append(pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    schema = pa.schema(fields)
    row, numbers = 0, 0
    with pq.ParquetWriter(out, schema) as writer:
        for codes, examples in table.parts:
            numbers = codes.shape[1]
            rows = range(row, row + len(codes))
            columns: dict[str, Any] = {"name": [table.names[i] for i in rows], "label": [table.label(i) for i in rows]}
            columns["embedding"] = list(codes)
            if table.kind == "image":
                columns["image"] = [
                    {"bytes": _png(picture), "path": table.names[i]} for i, picture in zip(rows, examples, strict=True)
                ]
            writer.write_table(pa.table(columns, schema=schema))
            row += len(codes)
    return numbers


def _png(picture: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    pixels = picture[0] if picture.shape[0] == 1 else picture.transpose(1, 2, 0)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


WRITERS: dict[str, Callable[[Table, Path], int]] = {
    ".npz": write_npz,
    ".csv": write_csv,
    ".parquet": write_parquet,
}

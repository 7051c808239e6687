"""One self-contained HTML page for a run: what it does, how well, and what is lost."""

from __future__ import annotations

import base64
import csv
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gargalo import checkpoint, disk, plots, weights
from gargalo.checkpoint import TrainedModel
from gargalo.data import open_like
from gargalo.data.batches import Feed
from gargalo.data.music import pieces
from gargalo.data.music.song import Metre
from gargalo.data.music.sound import render, wav
from gargalo.data.music.vocabulary import window_notes
from gargalo.data.source import Source, some
from gargalo.evaluation import music
from gargalo.evaluation.measure import FIGURES
from gargalo.priors import StandardNormal
from gargalo.verbs import songs
from gargalo.verbs.about import evaluate
from gargalo.verbs.latent import decode, embed, reconstruct, sample

SHOWN, PLAYED, MAPPED, GRID = 16, 4, 2000, 15
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
img.pixels{image-rendering:pixelated;max-width:100%;border:1px solid #ddd}img{max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;
text-align:right}td:first-child,th:first-child{text-align:left}.verdict{padding:.6rem 1rem;background:#eef6ee}
.verdict.bad{background:#fbe9e7}figcaption{color:#666;font-size:.9rem}"""


def report(run: str | Path, *, split: str = "test") -> Path:
    """Writes ``run/report.html`` and returns its path."""
    run = Path(run)
    model = weights.load(run)
    weights.check_own(model)
    figures = evaluate(model, split=split)  # type: ignore[arg-type]
    parts = [_verdict(figures), _table(figures)]
    if model.spec.kind == "image":
        parts += [*_pictures(model, figures["split"]), _lost(figures)]
    elif music.is_music(model.spec):
        parts += [_right(figures["music"]), *_music(model, figures["split"])]
    elif model.spec.kind == "sequence":
        parts += _sequences(model, figures["split"])
    parts += [_information(figures), _curves(run), _data(model, run), _facts(model)]
    title = f"{model.method} on {model.config['data']}"
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>{''.join(parts)}</html>\n"
    )
    path = run / "report.html"
    with disk.replacing(path) as temporary:
        temporary.write_text(page, errors="backslashreplace")
    return path


def _rows(source: Source, split: str) -> torch.Tensor:
    """Row numbers in an order of chance: those that are shown, the first, are from everywhere."""
    index = some(source.indices(split), MAPPED)  # type: ignore[arg-type]
    return index[torch.randperm(len(index), generator=torch.Generator().manual_seed(0))]


def _music(model: TrainedModel, split: str) -> list[str]:
    """Piano rolls, and players of the first of them."""
    source, form = open_like(model.config["data"], model.spec), songs.form_of(model)
    index = _rows(source, split)
    batch = next(Feed(source, index, len(index), model.corruption).in_order())
    as_raw = batch.input.shape == batch.target.shape  # else inputs are given as the corruption leaves them
    inputs = (model.spec.unscaled(batch.input) if as_raw else batch.input).numpy()
    known = source.gather(index[:SHOWN]).target.numpy()
    chords = batch.condition if model.net.conditional else None
    came = reconstruct(model, inputs[:SHOWN], labels=None if chords is None else chords[:SHOWN])
    known, outputs, drawn = (songs.in_windows(a) for a in (known, came, sample(model, SHOWN)))
    rows, over, new = ([window_notes(window) for window in part] for part in (known, outputs, drawn))

    def player(windows: np.ndarray, caption: str) -> str:
        few = windows[:PLAYED]
        song = pieces.new_song(pieces.apart(few), Metre(0, 4, 4), form.unit)
        sound = base64.b64encode(wav(render(song), halved=True)).decode()
        shown = f'<audio controls src="data:audio/wav;base64,{sound}"></audio>'
        return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"

    few = f"the first {min(PLAYED, len(known))}"
    return [
        _figure(plots.rolls(rows, form.length, over=over), "Held-out originals, and framed in red what comes out."),
        player(known, f"Originals: {few}, one after another."),
        player(outputs, "What comes out for these."),
        "<h2>Samples</h2>" + _figure(plots.rolls(new, form.length), "Drawn from the prior."),
        player(drawn, f"Samples: {few}."),
        *_scatter(model, embed(model, inputs, labels=chords), None),
    ]


def _right(table: dict[str, Any]) -> str:
    """What is right of music, in shares."""
    names = {"greedy": "likeliest", "sampled": "drawn", "still": "always hold", "copied": "nearest training copy"}
    head = "".join(f"<th>{figure}</th>" for figure in music.FIGURES)
    body = "".join(
        f"<tr><td>{name}</td>{''.join(f'<td>{_number(table[key][figure])}</td>' for figure in music.FIGURES)}</tr>"
        for key, name in names.items()
    )
    bits = "" if table["kl_bits"] is None else f"<p>KL to N(0, I): {_number(table['kl_bits'])} bits.</p>"
    played = "".join(
        f"<tr><td>{name}</td><td>{_number(row['velocity'])}</td><td>{_number(row['timing'])}</td></tr>"
        for name, row in table.get("played", {}).items()
    )
    off = "<tr><th>off by</th><th>velocity</th><th>steps</th></tr>" + played if played else ""
    return f"<h2>What is right</h2><table><tr><th></th>{head}</tr>{body}</table><table>{off}</table>{bits}"


def _sequences(model: TrainedModel, split: str) -> list[str]:
    source = open_like(model.config["data"], model.spec)
    index = _rows(source, split)
    batch = next(Feed(source, index, len(index), model.corruption).in_order())
    inputs, labels = model.spec.unscaled(batch.input).numpy(), batch.condition
    outputs = reconstruct(model, inputs[:SHOWN], labels=None if labels is None else labels[:SHOWN])
    figure = plots.sequences(source.gather(index[:SHOWN]).target.numpy(), over=outputs)
    drawn = plots.sequences(sample(model, SHOWN))
    return [
        _figure(figure, "Held-out originals, and in red what comes out."),
        "<h2>Samples</h2>" + _figure(drawn, "Drawn from the prior."),
        *_scatter(model, embed(model, inputs, labels=labels), labels),
    ]


def _pictures(model: TrainedModel, split: str) -> list[str]:
    source = open_like(model.config["data"], model.spec)
    index = _rows(source, split)
    batch = next(Feed(source, index, len(index), model.corruption).in_order())
    inputs, labels = batch.input, batch.condition
    outputs = reconstruct(model, inputs[:SHOWN].clamp(0, 1), labels=None if labels is None else labels[:SHOWN])
    targets = source.gather(index[:SHOWN]).target.numpy()
    lost = np.abs(outputs.astype(np.int16) - targets.astype(np.int16)).astype(np.uint8)
    rows = [targets, outputs, 255 - lost]
    caption = "Top: held-out originals. Middle: what comes out. Bottom: what was lost (darker is more)."
    shown = [_image(np.concatenate(rows), len(targets), caption)]
    if model.corruption != "none":
        seen = (inputs[:SHOWN, : targets.shape[1]].clamp(0, 1) * 255).round().byte().numpy()
        shown.insert(0, _image(seen, len(seen), f"What the model is given: {model.corruption}."))
    if not model.net.generative:
        return shown
    conditional = model.net.conditional
    drawn = sample(model, 10 * model.spec.num_classes if conditional else 64)
    per_row = model.spec.num_classes if conditional else 16
    which = "N(0, I)" if _is_normal(model) else model.config.get("prior") or "which was learned"
    shown.append("<h2>Samples</h2>" + _image(drawn, per_row, f"Drawn from the prior, {which}."))
    codes = embed(model, inputs.clamp(0, 1), labels=labels)
    if not conditional:
        shown += _between(model, codes)
        if model.latent_dim == 2:
            shown.append(_plane(model, codes))
    return [*shown, *_scatter(model, codes, labels)]


def _scatter(model: TrainedModel, codes: np.ndarray, labels: torch.Tensor | None) -> list[str]:
    if codes.shape[1] < 2:
        return []
    names = model.spec.class_names if labels is not None else ()
    figure = plots.latent_map(_flat(codes), None if labels is None else labels.numpy(), names)
    where = "codes" if codes.shape[1] == 2 else "codes' first two principal components"
    return ["<h2>Latent space</h2>" + _figure(figure, f"Held-out examples at their {where}.")]


def _flat(codes: np.ndarray) -> np.ndarray:
    """Codes of two numbers as they are; of more, the plane in which they spread most."""
    if codes.shape[1] == 2:
        return codes
    centered = codes - codes.mean(0)
    return centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T


def _is_normal(model: TrainedModel) -> bool:
    return isinstance(model.net.prior, StandardNormal)


def _between(model: TrainedModel, codes: np.ndarray) -> list[str]:
    steps = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7)] if len(codes) >= 8 else []
    ways = [decode(model, codes[a] * (1 - steps) + codes[b] * steps) for a, b in pairs]
    return (
        ["<h2>Between two</h2>" + _image(np.concatenate(ways), 10, "From one held-out code to another.")]
        if ways
        else []
    )


def _plane(model: TrainedModel, codes: np.ndarray) -> str:
    """The decoded plane at quantiles: of the prior where that is N(0, I), of the codes otherwise."""
    levels = (torch.arange(GRID, dtype=torch.float32) + 0.5) / GRID
    if _is_normal(model):
        axes = [torch.special.ndtri(levels)] * 2
        caption = "The decoded plane at quantiles of the prior."
    else:
        axes = [torch.from_numpy(np.quantile(codes[:, i], levels.numpy()).astype(np.float32)) for i in (0, 1)]
        caption = "The decoded plane at quantiles of the held-out codes."
    ys, xs = torch.meshgrid(axes[1].flip(0), axes[0], indexing="ij")
    images = decode(model, torch.stack([xs.flatten(), ys.flatten()], 1))
    return "<h2>The plane of codes</h2>" + _image(images, GRID, caption)


def _verdict(figures: dict[str, Any]) -> str:
    bad = "LOSES" in figures["verdict"] or "BROKEN" in figures["verdict"]
    note = f"<p>{html.escape(figures['note'])}</p>" if figures["note"] else ""
    return f'<p class="verdict{" bad" if bad else ""}">{html.escape(figures["verdict"])}</p>{note}'


def _table(figures: dict[str, Any]) -> str:
    names = [name for name in FIGURES if figures[name] is not None]
    rows = {"this model": figures, **{k: v for k, v in figures["baselines"].items() if v}}
    head = "".join(f"<th>{n.upper()}</th>" for n in names)
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{_number(row[n])}</td>' for n in names)}</tr>"
        for name, row in rows.items()
    )
    extra = "".join(
        f"<tr><td>{label}</td><td>{_number(figures[key])}</td></tr>"
        for key, label in (
            ("elbo", "ELBO, nats"),
            ("nll", f"NLL, nats, K = {figures['samples']}"),
            ("kl", "KL, nats"),
            ("active_units", "active units"),
        )
        if figures[key] is not None
    )
    caption = f"<p>{figures['n']:,} examples of the {figures['split']} part.</p>"
    return f"<h2>Figures</h2>{caption}<table><tr><th></th>{head}</tr>{body}</table><table>{extra}</table>"


def _lost(figures: dict[str, Any]) -> str:
    """What is thrown away, beside PCA."""
    rows = {"this model": figures, "PCA": figures["baselines"]["pca"]}
    series = {name: row["lost"] for name, row in rows.items() if row}
    half = next((b for b, share in enumerate(figures["lost"]) if share >= 0.5), None)
    finest = f"{(half or 0) / (2 * len(figures['lost'])):.2f}"
    where = "at no frequency" if half is None else f"at {finest} cycles a pixel and finer"
    kept = "; ".join(f"{name} {row['edges']:.0%}" for name, row in rows.items() if row)
    caption = f"Half of the energy or more is lost {where}. Edge energy kept: {kept}."
    return "<h2>What is lost</h2>" + _figure(plots.lost(series), caption)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _curves(run: Path) -> str:
    lines = checkpoint.metrics(run)
    if not lines:
        return ""
    series = {
        "training": [line["loss"] for line in lines],
        "validation": [line["validation"]["loss"] for line in lines],
    }
    return "<h2>Training</h2>" + _figure(plots.curves([line["step"] for line in lines], series), "Loss.")


def _information(figures: dict[str, Any]) -> str:
    if "kl_per_dim" not in figures:
        return ""
    caption = "Nats by which each number of the code is not N(0, 1), most first; one near 0 is not used."
    return "<h2>KL a dimension, to N(0, 1)</h2>" + _figure(
        plots.bars(sorted(figures["kl_per_dim"], reverse=True)), caption
    )


def _data(model: TrainedModel, run: Path) -> str:
    source = open_like(model.config["data"], model.spec)
    facts: dict[str, Any] = {"name": model.config["data"], "examples": len(source)}
    facts |= {part: len(source.indices(part)) for part in ("train", "validation", "test")}
    facts |= {"shape": model.spec.shape, "classes": ", ".join(model.spec.class_names[:20]) or "no labels"}
    return f"<h2>The data</h2>{_listed(facts)}{_skipped(run)}"


def _facts(model: TrainedModel) -> str:
    config = model.config
    facts: dict[str, Any] = {
        "method": config["method"],
        **config["arguments"],
        "corruption": config["corruption"],
        "augment": config["augment"],
        "network": model.spec.network,
        "likelihood": model.spec.likelihood,
        "parameters": f"{sum(p.numel() for p in model.net.parameters()):,}",
        "steps": f"{config['progress']['step']:,}",
        **{key: value for key, value in config["settings"].items() if value is not None},
        **config["environment"],
    }
    return f"<h2>The run</h2>{_listed(facts)}"


def _listed(facts: dict[str, Any]) -> str:
    rows = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    return f"<table>{rows}</table>"


def _skipped(run: Path) -> str:
    file = run / "skipped.csv"
    if not file.exists():
        return ""
    with file.open(newline="") as opened:
        rows = list(csv.reader(opened))[1:]
    items = "".join(f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in rows[:100])
    return f"<h3>{len(rows)} files were skipped</h3><ul>{items}</ul>"


def _image(images: np.ndarray, columns: int, caption: str) -> str:
    from PIL import Image

    picture = plots.grid(images[:, :3], columns)
    shown = Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    width = min(960, picture.shape[2] * max(1, 960 // max(1, picture.shape[2])))
    return _embedded(buffer, caption, f' class="pixels" width="{width}"')


def _figure(figure: Any, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return _embedded(buffer, caption, "")


def _embedded(buffer: io.BytesIO, caption: str, attributes: str) -> str:
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    image = f'<img{attributes} alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"

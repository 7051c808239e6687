"""diagnose: what is wrong with a model that was trained, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple

from gargalo import checkpoint
from gargalo.adversarial import Adversarial
from gargalo.checkpoint import TrainedModel
from gargalo.data import open_like
from gargalo.evaluation import noise
from gargalo.verbs.about import evaluate

LIMIT = 1_000  # examples that are looked at
CHANCE = 0.6  # a critic that was never right more often has learned nothing: at first codes are unlike any prior
USED, DIM, FALLING = 0.5, 0.05, 0.01


class Finding(NamedTuple):
    """``severity`` is error, warning or fine."""

    severity: str
    what: str
    advice: str = ""


def diagnose(model: TrainedModel, data: str | None = None) -> list[Finding]:
    """What a look at a model's figures, its training and its data brings up, the worst first.

    ``data`` is the training data's name unless given.
    """
    name = data or model.config["data"]
    figures = evaluate(model, name, split="validation", samples=10, limit=LIMIT)
    verdict, _, advice = figures["verdict"].partition(". ")
    bad = "BROKEN" in verdict or "LOSES" in verdict
    found = [Finding("error" if bad else "fine", verdict.rstrip(".") + ".", advice)]
    found += [*_training(model), *_pixels(model, name)]
    if "used" in figures:
        found.append(_codes(figures["used"], figures["n"]))
    return sorted(found, key=lambda finding: ("error", "warning", "fine").index(finding.severity))


def _training(model: TrainedModel) -> list[Finding]:
    progress = model.config["progress"]
    found: list[Finding] = []
    if isinstance(model.objective, Adversarial):
        found.append(_critic(model.objective, *progress["critic"]))
    if progress["roll_backs"]:
        advice = "Train again with a lower --lr, or look at the data for extreme values."
        found.append(Finding("warning", f"Training diverged {progress['roll_backs']} times and went back.", advice))
    losses = [] if model.path is None else [line["validation"]["loss"] for line in checkpoint.metrics(model.path)]
    if len(losses) >= 8:
        before, last = losses[-(len(losses) // 4)], losses[-1]
        # A rate that falls to zero makes the loss fall at the end of any run.
        if before - last > FALLING * abs(before) and model.config["settings"]["schedule"] == "constant":
            advice = "Train longer: raise --time or --epochs."
            found.append(Finding("warning", "The validation loss was still falling when training ended.", advice))
        if last > min(losses) + FALLING * abs(min(losses)) and not model.objective.keeps_last:
            advice = "The weights kept are those of the best evaluation. More data, or a smaller network, would help."
            found.append(Finding("warning", "The validation loss rose towards the end: overfitting.", advice))
    return found


def _critic(objective: Adversarial, now: float, best: float) -> Finding:
    if best < CHANCE:
        severity, advice = objective.at_chance
        return Finding(severity, f"The critic was at chance from the first step on ({best:.1%} right).", advice)
    return Finding("fine", f"The critic learned: {best:.1%} right at its best, {now:.1%} at the end.")


def _pixels(model: TrainedModel, name: str) -> list[Finding]:
    source = open_like(name, model.spec, model.config["data"])
    complaint = noise.complaint(model.objective, source, model.corruption)
    found = [] if complaint is None else [Finding("warning", *complaint.split("; "))]
    rows = source.gather(source.indices("validation")[:LIMIT]).target
    highest = float(model.spec.scaled(rows).max())
    if model.spec.is_pixels and highest < DIM:
        advice = "Were the pixels divided by 255 twice? Give uint8, or floats from 0 to 1."
        found.append(Finding("error", f"No pixel is brighter than {highest:.4f} of 1.", advice))
    return found


def _codes(used: float, examples: int) -> Finding:
    text = f"{used:.0%} of the codes are used by {examples:,} examples."
    if used >= USED:
        return Finding("fine", text)
    return Finding("warning", text, "Take fewer codes (--num-codes, or --levels of fsq), or train longer.")

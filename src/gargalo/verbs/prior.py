"""fit_prior: a density for the codes of a model that is trained, to sample from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from gargalo import acceleration, checkpoint
from gargalo.checkpoint import TrainedModel
from gargalo.data.batches import Feed, derive
from gargalo.data.source import Source, some
from gargalo.fitting import Clock
from gargalo.priors import Prior
from gargalo.registry import prior as priors
from gargalo.training import seeded
from gargalo.verbs._arrays import open_for
from gargalo.weights import check_own

MAX_CODES = 50_000
CHECK_EVERY, EPOCHS = 100, 60
LEAST_SECONDS = 5.0  # however short the training was
Progress = Callable[[dict[str, Any]], None]


def fit_prior(
    model: TrainedModel,
    prior: str = "mixture",
    *,
    data: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainedModel:
    """Fits a prior to the codes of a model's training data, which `sample` and the bounds then go by.

    ``prior`` is a selector such as ``"mixture:components=10"``; ``data`` the training data's name unless given. The
    model itself is changed, and where it lies in a run folder the prior is kept there. Raises ValueError for a prior
    that does not suit the model.
    """
    check_own(model)
    source = open_for(model, data or model.config["data"])
    fit_to(model, source, source.indices("train"), prior, seed=seed, progress=progress)
    if model.path is not None:
        with checkpoint.locked(model.path):
            checkpoint.keep_prior(model.path, model, model.config)
    return model


def fit_suggested(model: TrainedModel, source: Source, rows: Tensor, progress: Progress | None = None) -> bool:
    """Fits the prior that a method asks for where its codes follow none known before; says whether it did.

    After a training on a budget of time it may take as long again, and some seconds in any case.
    """
    prior, settings = model.net.suggested_prior, model.config["settings"]
    if prior is None:
        return False
    if prior == "mixture":  # as many components as there are codes for
        prior = f"mixture:components={max(1, min(50, len(rows) // (4 * model.latent_dim)))}"
    seconds = math.inf if settings["time"] is None else max(LEAST_SECONDS, settings["time"])
    fit_to(model, source, rows, prior, seed=settings["seed"], seconds=seconds, progress=progress)
    return True


def fit_to(
    model: TrainedModel,
    source: Source,
    rows: Tensor,
    prior: str,
    *,
    seed: int = 0,
    seconds: float = math.inf,
    progress: Progress | None = None,
) -> None:
    """Fits a prior to the codes of some rows of a source, in memory, in about so many ``seconds`` at the most."""
    before = model.net.prior
    if isinstance(before, Prior) and before.indispensable:
        raise ValueError(f"{model.method} keeps its own prior: {before.indispensable}.")
    with seeded(derive(seed, "prior")):
        drawn = some(rows, MAX_CODES)
        drawn = drawn[torch.randperm(len(drawn))]  # some priors begin with the first, which of a folder are one class
        feed = Feed(source, drawn, 250, model.corruption, seed=seed, device=str(model.device))
        fitted: Prior = priors.select(prior)(model.net, model.spec).to(model.device)
        if hasattr(fitted, "prime"):
            cast(Any, fitted).prime(next(feed.in_order()).input)
        with torch.no_grad():
            codes = torch.cat([model.net.codes(batch, fitted) for batch in feed.in_order()])
        fit(fitted, codes, progress, seconds)
    checkpoint.replace_prior(model, fitted, prior)


def fit(prior: Prior, codes: Tensor, progress: Progress | None = None, seconds: float = math.inf) -> None:
    """Lowers a prior's loss on codes; of what it was on the way, keeps what is best for a tenth that is held out.

    As many steps as suit the prior and the codes, or as ``seconds`` hold; ``progress`` is called after each.
    """
    clock = Clock(time.perf_counter() + seconds)
    with torch.no_grad():
        prior.prepare(codes)
    if not prior.steps:
        return
    order = torch.randperm(len(codes), device=codes.device)
    held_out, seen = codes[order[: max(1, len(codes) // 10)]], codes[order[len(codes) // 10 :]]
    optimizer = torch.optim.AdamW([p for p in prior.parameters() if p.requires_grad], lr=prior.lr)
    batch = min(prior.batch, len(seen))
    most = min(prior.steps, EPOCHS * -(-len(seen) // batch))
    quick = prior.reduced and acceleration.uses_bfloat16(codes.device, "auto")
    reduced = partial(torch.autocast, codes.device.type, torch.bfloat16, enabled=quick)
    best, lowest = {name: t.clone() for name, t in prior.state_dict().items()}, math.inf
    step, steps, found = 0, most, math.inf
    while True:
        if step % CHECK_EVERY == 0 or step == steps:
            with torch.no_grad(), seeded(0), reduced():
                found = float(torch.cat([prior.loss(part) for part in held_out[:2000].split(500)]).mean())
            if found < lowest:
                best, lowest = {name: t.clone() for name, t in prior.state_dict().items()}, found
        if progress is not None:
            progress({"of": "prior", "number": step, "total": steps, "loss": found, "validation": {}})
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = prior.lr * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        with reduced():
            loss = prior.loss(seen[torch.randint(len(seen), (batch,), device=seen.device)]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 10.0 * len(codes[0]) ** 0.5)
        if bool(loss.detach().isfinite()):
            optimizer.step()
        step += 1
        steps = min(most, clock.total(step, steps))
    prior.load_state_dict(best)

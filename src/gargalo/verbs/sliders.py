"""Sliders: what can be heard of a melody, moved one by one through the latent space.

A small net, fitted by least squares to codes and what is heard of what they decode to, says at any code in which
direction an attribute grows. A slider tries the shortest way (in deviations of the training codes) that changes this
attribute and, as far as the net knows, no other, several lengths of it; ways towards training windows that sound as
wanted; and some of chance. What all of these decode to is heard, and the one kept that comes nearest: the slider's own
attribute never goes back, and others may stray a little for nothing and more at a price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gargalo import checkpoint, weights
from gargalo.checkpoint import TrainedModel
from gargalo.data import open_source
from gargalo.data.music import pieces
from gargalo.data.music.analysis import scale_of
from gargalo.data.music.attributes import ATTRIBUTES, in_key, table
from gargalo.data.music.song import Song
from gargalo.data.music.vocabulary import FIRST, Tokens
from gargalo.errors import check_range
from gargalo.training import seeded
from gargalo.verbs.latent import embed
from gargalo.verbs.songs import played, taken

SLIDERS = "sliders.safetensors"  # beside the checkpoints
FITTED, JITTER = 8_000, 0.3  # windows; and how far others lie beside them, as a share of the way between two
WIDTH, STEPS, BATCH, RATE = 256, 1_500, 256, 2e-3
ROUNDS, LONGEST = 3, 3.0  # of tries, and deviations of the shortest way at most
LENGTHS = 0.35, 0.7, 1.4, 2.0  # of the shortest way
DONORS, NEAREST, SHARES = 4_000, 8, (0.3, 0.6, 1.0)  # training windows, how many a code is led to, and how far
CHANCES, WIDE = 8, 0.35  # ways of chance, and their deviations
OTHERS, SLACK = 2.0, 0.2  # what squares of others' changes cost beside the slider's own, and how much is free
IDLE, LEAST, FAR = 1.0, 0.1, 1e-4  # what it costs to stay, what counts as a move, and the price of squared deviations
PART = 0.5  # deviations: a longer way is gone in such parts
SMALLEST = 1e-6
OUTLIER = 5.0  # deviations
HIGHEST = np.array([1.0, np.inf, np.inf, 4.0, 1.0])  # of each attribute
MAX_STEPS, MAX_SPAN = 1000, 20.0
KEYS = 12

Codes = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Sliders:
    """What moves codes of a model. ``deviation`` ``[5]`` of each of `ATTRIBUTES` is that of training windows, in a key
    with the tones of the major one on ``root``."""

    model: TrainedModel
    net: nn.Sequential  # whitened codes to what is heard, in deviations
    middle: Tensor
    spread: Tensor  # [D, D]: codes are ``middle + spread @ whitened``
    deviation: npt.NDArray[np.float64]
    root: int
    donors: Codes  # [M, D], of training windows, and what is heard of these, [M, 5]
    donors_heard: npt.NDArray[np.float64]

    def heard(self, windows: Tokens) -> npt.NDArray[np.float64]:
        """``[N, 5]``, in deviations."""
        return table(windows, self.root) / self.deviation

    def moved(self, codes: Codes, attribute: int, amounts: list[float]) -> list[Tokens]:
        """For each of some amounts, in deviations, windows of these codes with one attribute changed by so much.

        The way leads through whole `PART`s, whatever other amounts there are.
        """
        start = played(self.model, codes)
        heard, ways = self.heard(start), {0.0: (codes, start)}

        def at(amount: float) -> tuple[Codes, Tokens]:
            if amount not in ways:
                before = math.copysign((math.ceil(abs(amount) / PART) - 1) * PART, amount)
                goal = heard.copy()
                goal[:, attribute] += amount
                ways[amount] = self._towards(*at(before), goal, attribute, math.copysign(1.0, amount))
            return ways[amount]

        return [at(amount)[1] for amount in amounts]

    def _towards(
        self, codes: Codes, window: Tokens, goal: npt.NDArray[np.float64], own: int, sign: float
    ) -> tuple[Codes, Tokens]:
        """The codes nearest to a goal ``[N, 5]`` of all that are tried, and what they decode to."""
        goal, rows = goal.clip(0, HIGHEST / self.deviation), np.arange(len(codes))
        best, shown, heard = codes, window, self.heard(window)
        start, lowest = heard[:, own], _cost(goal - heard, own) + IDLE
        for _ in range(ROUNDS):
            tries = self._tries(best, goal, heard, own)  # [N, K, D]
            found = played(self.model, tries.reshape(-1, tries.shape[2]))
            said = self.heard(found).reshape(*tries.shape[:2], -1)
            gained = sign * (said[..., own] - start[:, None])
            cost = _cost(goal[:, None] - said, own) + IDLE * (gained < LEAST)
            cost += FAR * np.square(self._white(tries - best[:, None])).sum(2)
            cost[gained < 0] = np.inf
            chosen = cost.argmin(1)
            better = cost[rows, chosen] < lowest
            best = np.where(better[:, None], tries[rows, chosen], best)
            shown = np.where(better[:, None], found.reshape(*tries.shape[:2], -1)[rows, chosen], shown)
            heard = np.where(better[:, None], said[rows, chosen], heard)
            lowest = np.where(better, cost[rows, chosen], lowest)
        return best, shown

    def _tries(self, codes: Codes, goal: npt.NDArray[np.float64], heard: npt.NDArray[np.float64], own: int) -> Codes:
        """Ways from codes ``[N, D]``, ``[N, K, D]``."""
        way, here = self._move(codes, goal - heard)[:, None], codes[:, None]
        white, donors = self._white(codes - self.middle.numpy()), self._donors_white
        apart = np.square(white).sum(1)[:, None] + np.square(donors).sum(1) - 2 * white @ donors.T
        price = _cost(goal[:, None] - self.donors_heard, own) + 0.5 * apart / codes.shape[1]
        towards = self.donors[np.argsort(price, 1)[:, :NEAREST]] - here
        chance = np.random.default_rng(0).normal(scale=WIDE, size=(CHANCES, codes.shape[1])) @ self.spread.numpy().T
        return np.concatenate(
            [
                *(here + share * towards for share in SHARES),
                here + np.array(LENGTHS)[:, None] * way,
                here + chance,  # the same for all, so that what repeats goes on to repeat
            ],
            1,
        ).astype(np.float32)

    @cached_property
    def _donors_white(self) -> Codes:
        return self._white(self.donors - self.middle.numpy())

    def _white(self, away: Codes) -> Codes:
        """Differences of codes ``[..., D]`` in deviations of the training codes."""
        flat = torch.from_numpy(away).float().flatten(0, -2)
        return torch.linalg.solve_triangular(self.spread, flat.T, upper=False).T.view(away.shape).numpy()

    def _move(self, codes: Codes, amiss: npt.NDArray[np.float64]) -> Codes:
        """The shortest that would change what is heard by ``amiss`` if the net were straight here."""
        slopes = self._slopes(torch.from_numpy(self._white(codes - self.middle.numpy())))  # [N, 5, D]
        across = slopes @ slopes.mT + 1e-3 * torch.eye(len(ATTRIBUTES))
        way = (slopes.mT @ torch.linalg.solve(across, torch.from_numpy(amiss).float()[..., None]))[..., 0]
        way = way * (LONGEST / way.norm(dim=1, keepdim=True).clamp(min=SMALLEST)).clamp(max=1)
        return (way @ self.spread.T).numpy()

    def _slopes(self, white: Tensor) -> Tensor:
        """How fast each attribute grows with each number of a code."""
        outputs = [*range(len(ATTRIBUTES) - 1), len(ATTRIBUTES) - 1 + self.root]
        with torch.enable_grad():
            x = white.requires_grad_()
            told = self.net(x)
            return torch.stack([torch.autograd.grad(told[:, n].sum(), x, retain_graph=True)[0] for n in outputs], 1)


def sliders(model: TrainedModel, root: int = 0) -> Sliders:
    """Fitted to the data that a model was trained on, and kept in its run folder. DataError where these are gone."""
    if model.spec.places:
        raise ValueError(f"{model.path or 'This model'} is told chords, for which sliders are not fitted.")
    kept = None if model.path is None else checkpoint.kept(model.path, SLIDERS, model.config)
    tensors = {} if kept is None else kept.tensors
    if "donors" not in tensors:
        tensors = fit(model)
        if (folder := weights.own_folder(model)) is not None:
            checkpoint.keep(folder, SLIDERS, tensors, model.config)
    net = _net(model.latent_dim)
    net.load_state_dict({key: value for key, value in tensors.items() if key[0].isdigit()})
    every = tensors["deviation"].numpy()
    chosen = [*range(len(ATTRIBUTES) - 1), len(ATTRIBUTES) - 1 + root]
    donors, donors_heard = tensors["donors"].numpy(), tensors["donors_heard"].numpy()[:, chosen]
    return Sliders(model, net, tensors["middle"], tensors["spread"], every[chosen], root, donors, donors_heard)


def fit(model: TrainedModel) -> dict[str, Tensor]:
    """The net, and the codes' mean and spread; of what is heard, that in all keys."""
    source = open_source(model.config["data"])
    rows = source.indices("train")
    windows = source.gather(rows[:: -(-len(rows) // FITTED)]).target.numpy().astype(np.uint8)
    deviation = _heard(windows).std(0).clip(min=SMALLEST)
    codes, rng = embed(model, windows), np.random.default_rng(0)
    middle, own = codes.mean(0), np.cov(codes.T).reshape(codes.shape[1], -1)
    spread = np.linalg.cholesky(own + 1e-3 * np.trace(own) / len(own) * np.eye(len(own)))
    between = rng.permutation(codes) - rng.permutation(codes)
    codes = np.concatenate([codes, codes + JITTER * rng.uniform(size=(len(codes), 1)) * between])
    heard = _heard(played(model, codes)) / deviation
    found = {"middle": middle, "spread": spread, "deviation": deviation}
    tensors = {key: torch.from_numpy(value).to(torch.float32) for key, value in found.items()}
    tensors["deviation"] = torch.from_numpy(deviation)
    own = slice(0, len(windows), -(-len(windows) // DONORS))
    tensors |= {"donors": torch.from_numpy(codes[own]), "donors_heard": torch.from_numpy(heard[own])}
    white = torch.linalg.solve(tensors["spread"], (torch.from_numpy(codes).float() - tensors["middle"]).T).T
    return tensors | _fitted(white, torch.from_numpy(heard).float())


def _fitted(codes: Tensor, heard: Tensor) -> dict[str, Tensor]:
    with seeded(0):
        net = _net(codes.shape[1])
        optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - step / STEPS)
            rows = torch.randint(len(codes), (BATCH,))
            # Squares, for of most windows some attributes are 0, and absolute errors would learn that alone.
            loss = F.mse_loss(net(codes[rows]), heard[rows].clamp(max=OUTLIER))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {key: value.detach() for key, value in net.state_dict().items()}


def _net(latent_dim: int) -> nn.Sequential:
    outputs = len(ATTRIBUTES) - 1 + KEYS
    inner = nn.Linear(WIDTH, WIDTH)
    return nn.Sequential(nn.Linear(latent_dim, WIDTH), nn.SiLU(), inner, nn.SiLU(), nn.Linear(WIDTH, outputs))


def _heard(windows: Tokens) -> npt.NDArray[np.float64]:
    """`ATTRIBUTES` ``[N, 16]``, the last in each key."""
    keys = [in_key(windows, root) for root in range(KEYS)]
    return np.concatenate([table(windows)[:, :-1], np.stack(keys, 1)], 1)


def _cost(gap: npt.NDArray[np.float64], own: int) -> npt.NDArray[np.float64]:
    """Of what is amiss ``[..., 5]``: all of the slider's own, and of others what is more than `SLACK`, squared."""
    rest = np.maximum(np.abs(np.delete(gap, own, -1)) - SLACK, 0)
    return np.abs(gap[..., own]) + OTHERS * np.square(rest).sum(-1)


def traverse_song(
    model: TrainedModel, song: Song, attribute: str, *, span: float = 2.0, steps: int = 7, force: bool = False
) -> list[Song]:
    """A whole song ``steps`` times, with one attribute of its melody from ``-span`` to ``span`` deviations away from
    what it was: density, range, interval, syncopation or in_key. The others stay nearly what they were.

    ``steps=1`` is the far end alone: so much more, or less where ``span`` is negative. A deviation is that of windows
    in the training data. The key is the song's own. What is needed is fitted at the first use and kept in the run.
    """
    name = attribute.replace("-", "_")
    if name not in ATTRIBUTES:
        raise ValueError(f"attribute={attribute!r} must be one of {', '.join(ATTRIBUTES)}.")
    check_range("steps", steps, 1, MAX_STEPS)
    if not 0 < abs(span) <= MAX_SPAN:
        raise ValueError(f"span={span} must be between -{MAX_SPAN:g} and {MAX_SPAN:g}, and not 0.")
    apart = taken(model, song, force)
    if apart.windows.ndim != 2:
        raise ValueError(f"{attribute} is of melodies; this model plays drums or several parts.")
    widths = {pieces.bar_at(apart, number)[1] for number in range(len(apart.windows))}
    if name == "syncopation" and not (apart.unit == 16 and widths <= {8, 16, 32}):
        raise ValueError("syncopation is known of 2/4, 4/4 and 4/2 in 16ths alone: elsewhere other steps are strong.")
    found, codes = sliders(model, scale_of(apart.song.tracks[apart.track].notes)), embed(model, apart.windows)
    amounts = [float(span)] if steps == 1 else np.linspace(-span, span, steps).round(9).tolist()
    plays = np.any(apart.windows >= FIRST, axis=1)[:, None]  # silence stays silent
    return [
        pieces.with_windows(apart, np.where(plays, moved, apart.windows))
        for moved in found.moved(codes, list(ATTRIBUTES).index(name), amounts)
    ]

"""Samples and codes of single methods, on MNIST: ``python -m benchmarks.samples [PART ...]``, parts `PARTS`.

Frechet distances are of features of a small classifier of digits, trained first: no FID. Writes samples.json.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import gargalo
from benchmarks import classifier
from benchmarks.classifier import features
from benchmarks.results import Row, write
from gargalo.data import open_source
from gargalo.evaluation.samples import frechet_distance
from gargalo.priors import StandardNormal
from gargalo.training import seeded

FOLDER = Path("runs/benchmarks/samples")
DATA, MADE = "mnist", 5_000


class Bench:
    """The data, the judge of samples, and the budget of each training: seconds, or None for the usual steps."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds, self.source = seconds, open_source(DATA)
        self.judge = classifier.train(self.source)
        self.test = self.source.gather(self.source.indices("test"))
        self.real = features(self.judge, self.test.target)

    def trained(self, method: str, **options: Any) -> gargalo.TrainedModel:
        run = FOLDER / method
        shutil.rmtree(run, ignore_errors=True)
        return gargalo.train(method, DATA, run, time=self.seconds, **options)

    def distance(self, model: gargalo.TrainedModel) -> float:
        return frechet_distance(self.real, features(self.judge, gargalo.sample(model, MADE)))


def fitted_prior(bench: Bench) -> list[Row]:
    """A plain autoencoder: samples of a prior fitted to its codes beside those of N(0, I), and a VAE's."""
    model, vae = bench.trained("autoencoder"), bench.distance(bench.trained("vae"))
    fitted = bench.distance(model)
    model.net.prior = StandardNormal(model.latent_dim)
    normal = bench.distance(model)
    what = "plain autoencoder with a mixture fitted to its codes"
    return [
        Row("prior/normal", f"{what}, against N(0, I) and the same net", fitted, normal, "Frechet"),
        Row("prior/vae", f"{what}, against a VAE", fitted, vae, "Frechet"),
    ]


def aae(bench: Bench) -> list[Row]:
    """Whether a fresh probe tells an adversarial autoencoder's codes of test digits from its prior's."""
    model = bench.trained("aae")
    codes = gargalo.embed(model, bench.test.target)
    with seeded(0):
        drawn = model.net.prior.sample(len(codes)).numpy()  # type: ignore[operator]
    auc = told_apart(codes, drawn)
    return [
        Row("aae/auc", "adversarial autoencoder: a fresh probe tells codes from the prior's draws", auc, 0.5, "AUROC"),
        Row("aae/frechet", "adversarial autoencoder: samples of the prior", bench.distance(model), None, "Frechet"),
    ]


def told_apart(a: np.ndarray, b: np.ndarray) -> float:
    """The area under the curve of a small net that is fitted to half of the rows and asked about the others."""
    rows, kind = np.concatenate([a, b]), np.repeat([1, 0], [len(a), len(b)])
    order = np.random.default_rng(0).permutation(len(rows))
    seen, asked = np.array_split(order, 2)
    scaler = StandardScaler().fit(rows[seen])
    probe = MLPClassifier((128, 128), early_stopping=True, max_iter=100, random_state=0)
    probe.fit(scaler.transform(rows[seen]), kind[seen])
    return float(roc_auc_score(kind[asked], probe.predict_proba(scaler.transform(rows[asked]))[:, 1]))


def cvae(bench: Bench) -> list[Row]:
    """Whether samples are of the label that was ordered, and what a code says of the label."""
    model = bench.trained("cvae")
    made = torch.cat([torch.as_tensor(gargalo.sample(model, 500, label=label, seed=label)) for label in range(10)])
    told = classifier.predict(bench.judge, bench.source.spec.scaled(made))
    real = classifier.predict(bench.judge, bench.source.spec.scaled(bench.test.target))
    right = float((told == torch.arange(10).repeat_interleave(500)).double().mean())
    train = bench.source.gather(bench.source.indices("train")[:20_000])
    known, asked = (np.asarray(part.condition) for part in (train, bench.test))
    codes = [gargalo.embed(model, part.target, labels=part.condition) for part in (train, bench.test)]
    probes = (
        LogisticRegression(max_iter=1_000),
        KNeighborsClassifier(5),
        MLPClassifier((128, 128), early_stopping=True, max_iter=100, random_state=0),
    )
    scaler = StandardScaler().fit(codes[0])
    seen, given = (scaler.transform(part) for part in codes)
    found = {type(probe).__name__: float(probe.fit(seen, known).score(given, asked)) for probe in probes}
    print(found, flush=True)
    read = max(found.values())
    most = float(np.bincount(asked).max() / len(asked))
    return [
        Row("cvae/label", "conditional VAE: samples taken for the label ordered, against real digits",
            right, float((real == bench.test.condition).double().mean()), "right"),
        Row("cvae/code", "conditional VAE: labels read from codes, by the best of three probes, against the commonest",
            read, most, "right"),
    ]  # fmt: skip


def vq_vae(bench: Bench) -> list[Row]:
    """How much of a code book is in use, and samples of the prior of codes beside a VAE's."""
    model, vae = bench.trained("vq_vae"), bench.distance(bench.trained("vae"))
    used = gargalo.evaluate(model)
    what = f"VQ-VAE, {used['num_codes']} codes"
    return [
        Row("vq_vae/perplexity", f"{what}: perplexity", used["perplexity"], used["num_codes"], "codes"),
        Row("vq_vae/used", f"{what}: share in use on test digits", used["used"], None, "share"),
        Row("vq_vae/frechet", f"{what}: samples of the code prior, against a VAE",
            bench.distance(model), vae, "Frechet"),
    ]  # fmt: skip


PARTS: dict[str, Callable[[Bench], list[Row]]] = {"prior": fitted_prior, "aae": aae, "cvae": cvae, "vq_vae": vq_vae}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, help="of each training, in place of the usual 12,000 steps")
    options = parser.parse_args()
    bench = Bench(options.seconds)
    for part in options.parts or PARTS:
        rows = PARTS[part](bench)
        write("samples", rows)
        for row in rows:
            print(f"{row.id:20} {row.ours:9.4f} {row.other or float('nan'):9.4f}", flush=True)


if __name__ == "__main__":
    main()

"""Autoencoder: every method with the face of scikit-learn."""

from __future__ import annotations

import dataclasses
import sys
from math import prod
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from gargalo import checkpoint
from gargalo.acceleration import Precision, computing
from gargalo.checkpoint import TrainedModel
from gargalo.data.arrays import ArrayKind, array_source, kind_of
from gargalo.data.layout import Array, Layout
from gargalo.data.source import Source
from gargalo.fitting import Fitting, asks_for_labels, configured, takes
from gargalo.networks.own import OwnNetwork
from gargalo.training import Settings, TrainState, seeded
from gargalo.verbs import latent
from gargalo.verbs._arrays import SIZES
from gargalo.verbs.likelihood import log_likelihood
from gargalo.verbs.prior import fit_suggested

FLOATS: Any = np.float64, np.float32  # what is taken as it is; all else becomes the first of them
PIXELS: Any = *FLOATS, np.uint8
TAKEN: dict[str, Any] = {"series": FLOATS, "bits": "numeric", "tokens": "numeric"}
SETTINGS = "epochs", "time", "batch_size", "lr", "precision", "device"
LEAST = SIZES[-2] + 1  # rows given to a verb, so that it takes its largest batch always: smaller ones round differently


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A transformer from examples to codes, and back.

    X holds vectors ``(n, d)``, whose columns are standardized inside, or pictures ``(n, H, W)``, ``(n, C, H, W)`` or
    ``(n, H, W, C)``, uint8 or floats in [0, 1], or, as ``kind`` says, sequences: ``"series"`` of numbers ``(n, T, C)``
    or ``(n, T)``, standardized by channel, ``"bits"`` of the same shapes, or ``"tokens"``, whole numbers ``(n, T)``.
    What comes back is as what was fitted; pictures have 256 levels.

    Methods that are conditional on classes need y in `fit`. Without labels, `transform`, `reconstruct` and the scores
    take for each row the label that explains it best, by `score_samples`.

    Parameters
    ----------
    method : name of a method, see ``gargalo.available("methods")``.
    latent_dim : numbers in a code; the method's default where it is None.
    method_params : the method's other arguments, a dictionary.
    network : a selector such as ``"mlp:width=64"``, a pair (encoder, decoder) of torch modules, or a function
        ``(spec, latent_dim, outputs, channels)`` that makes one.
    likelihood, corruption, augment : selectors, as in `gargalo.train`; with a corruption that changes the size, X holds
        pictures and not rows.
    image_shape : that the rows of a 2-D X are pictures of this shape.
    kind : ``"series"``, ``"bits"`` or ``"tokens"``, as no array tells by itself that it holds sequences; or ``"auto"``.
    epochs, time, batch_size, lr, precision, device : as in `gargalo.train`; time in seconds.
    random_state : of all randomness; with a number, two fits on one machine are the same.
    verbose : a line an epoch to stderr.

    Attributes
    ----------
    model_ : the trained model, on the CPU, which every verb of gargalo takes that needs none of the training data.
    history_ : a dictionary an epoch: epoch, step, loss and its terms in nats an example, lr.
    classes_ : the labels, of a conditional method.
    n_features_in_, feature_names_in_ : as everywhere in scikit-learn; a picture has as many features as numbers.
    """

    model_: TrainedModel
    history_: list[dict[str, float]]
    classes_: Array
    n_features_in_: int
    kind: ArrayKind

    def __init__(
        self,
        method: str = "vae",
        latent_dim: int | None = None,
        *,
        method_params: dict[str, Any] | None = None,
        network: Any = "auto",
        likelihood: str = "auto",
        corruption: str = "auto",
        augment: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        kind: ArrayKind = "auto",
        epochs: int | None = None,
        time: float | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        precision: Precision = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.latent_dim = latent_dim
        self.method_params = method_params
        self.network = network
        self.likelihood = likelihood
        self.corruption = corruption
        self.augment = augment
        self.image_shape = image_shape
        self.kind = kind
        self.epochs = epochs
        self.time = time
        self.batch_size = batch_size
        self.lr = lr
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_run(cls, path: str | Path) -> Self:
        """A fitted estimator from a run folder; labels are class numbers, and pictures ``(n, C, H, W)`` uint8."""
        model = checkpoint.load(path)
        spec, settings = model.spec, model.config["settings"]
        arguments = dict(model.config["arguments"])
        found = cls(
            model.method,
            arguments.pop("latent_dim", None),
            method_params=arguments,
            network=spec.network,
            likelihood=spec.likelihood,
            corruption=model.corruption,
            augment=model.config["augment"],
            image_shape=spec.shape if spec.is_pixels else None,
            kind=kind_of(spec),
            random_state=settings["seed"],
            **{key: settings[key] for key in SETTINGS},
        )
        dtype = np.uint8 if spec.is_pixels or spec.is_bits else np.int64 if spec.is_tokens else np.float32
        layout = Layout("chw" if spec.is_pixels else "d", spec.kind == "vector", dtype)
        found.model_, found.history_, found._layout = model, [], layout
        found.n_features_in_, found.classes_ = prod(spec.input_shape), np.arange(spec.num_classes)
        return found

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains on all rows of X; y is used by conditional methods alone."""
        source = self._first_source(X, y)
        fitting = self._fitting(source, self._config(source))
        self._train(fitting, fitting.begin())
        return self

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """One more pass, over the rows of X, at a rate that does not fall.

        The first call settles what later ones keep: the standardization of the columns, and ``classes``, those of y
        unless given. After `fit` it goes on from the weights found there.
        """
        if hasattr(self, "model_"):
            source, config = self._further_source(X, y), self.model_.config
            fitting = self._fitting(source, config, start=config["progress"]["step"], schedule="constant")
            state = self._continued(fitting)
        else:
            source = self._first_source(X, y, classes)
            fitting = self._fitting(source, self._config(source), schedule="constant")
            state = fitting.new_state(0)
        state.total_steps = state.step + fitting.feed.steps_per_epoch
        self._train(fitting, state)
        self._training = {name: t.cpu().clone() for name, t in state.tensors().items()}, state.counters()
        return self

    def transform(self, X: Any) -> Array:
        """Codes, the posterior's mode: ``(n, number of entries)``."""
        values, inputs, labels = self._given(X)
        codes = latent.embed(self.model_, inputs, labels=labels)[: len(values)].reshape(len(values), -1)
        return codes.astype(np.float64 if values.dtype == np.float64 else np.float32, copy=False)

    def inverse_transform(self, X: Any, y: Any = None) -> Array:
        """Examples of codes; without y, of a conditional method the mean over all classes, or most frequent tokens."""
        check_is_fitted(self)
        codes = check_array(X, dtype=FLOATS, input_name="X")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(f"X has shape {codes.shape}; codes of this Autoencoder are (n, {self._n_features_out}).")
        rows = _at_least(codes)
        every = [np.full(len(rows), c) for c in range(self.model_.spec.num_classes)]
        choices = every if self._conditional and y is None else [self._labels(codes, len(rows), y)]
        found = [latent.decode(self.model_, rows, labels=labels)[: len(codes)] for labels in choices]
        tokens = self.model_.spec.is_tokens
        mean = torch.from_numpy(np.stack(found)).mode(0).values.numpy() if tokens else np.mean(found, axis=0)
        return self._layout.leave((mean if found[0].dtype.kind == "f" else np.rint(mean)).astype(found[0].dtype))

    def reconstruct(self, X: Any, y: Any = None) -> Array:
        """X through the code and back, in the layout of what was fitted."""
        values, inputs, labels = self._given(X, y)
        return self._layout.leave(latent.reconstruct(self.model_, inputs, labels=labels)[: len(values)])

    def sample(self, n: int = 1, *, label: Any = None, temperature: float = 1.0, random_state: Any = None) -> Array:
        """New examples from the prior; a conditional method takes a label, or goes through all in turn.

        ``temperature`` scales the codes; ``random_state`` is the estimator's unless given.
        """
        check_is_fitted(self)
        seed = _seed(self.random_state if random_state is None else random_state)
        if label is not None and self._conditional:
            label = int(self._class_numbers([label], np.zeros(1))[0])
        return self._layout.leave(latent.sample(self.model_, n, temperature=temperature, label=label, seed=seed))

    def score_samples(self, X: Any, y: Any = None) -> Array:
        """A lower bound of log p(x) of each row, in nats, see `gargalo.verbs.likelihood.log_likelihood`."""
        values = self._values(X)
        return self._bounds(values, self._labels(values, len(values), y))

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`."""
        return float(self.score_samples(X, y).mean())

    def save(self, folder: str | Path) -> None:
        """Writes a run folder for `gargalo.load`, `from_run` and all commands that do not look at training data again.

        CheckpointError where anything is there already; TypeError where the network is your own, which no file holds.
        """
        check_is_fitted(self)
        run, config = Path(folder), self.model_.config
        if not isinstance(config["spec"]["network"], str):
            raise TypeError("Modules of your own cannot be saved here: pickle the estimator, or register a network.")
        with checkpoint.new_run(run):
            checkpoint.save_model(run, self.model_)

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent_dim

    @property
    def _conditional(self) -> bool:
        return self.model_.net.conditional

    def _values(self, X: Any, reset: bool = False) -> Array:
        """X checked as scikit-learn does, in the user's axes."""
        if not reset:
            check_is_fitted(self)
        kind = self.kind if reset else kind_of(self.model_.spec)
        if (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) > 2:
            dtype = TAKEN.get(kind, PIXELS)
            values = check_array(X, dtype=dtype, ensure_2d=False, allow_nd=True, input_name="X")
            if reset:
                self.n_features_in_ = prod(values.shape[1:])
                self.__dict__.pop("feature_names_in_", None)
            return values
        pictures = self.image_shape is not None if reset else self._layout.axes != "d"
        return np.asarray(validate_data(self, X, reset=reset, dtype=PIXELS if pictures else TAKEN.get(kind, FLOATS)))

    def _given(self, X: Any, y: Any = None) -> tuple[Array, Array, Array | None]:
        """X checked, and what a verb takes for it: enough rows, and their labels."""
        values = self._values(X)
        inputs = _at_least(self._layout.enter(values, self.model_.spec.input_shape))
        return values, inputs, self._labels(values, len(inputs), y)

    def _first_source(self, X: Any, y: Any, classes: Any = None) -> Source:
        """Rows to begin with; they settle layout, columns and classes."""
        conditional = asks_for_labels(self.method, self.method_params)
        if y is None and conditional:
            raise ValueError(
                f"This Autoencoder estimator requires y to be passed, but the target y is None: {self.method} is "
                "conditional on the class of each row."
            )
        for name in ("model_", "_training"):
            self.__dict__.pop(name, None)
        self.history_ = []
        values = self._values(X, reset=True)
        shape = values.shape[1:] if self.image_shape is None or values.ndim > 2 else tuple(self.image_shape)
        if prod(shape) != prod(values.shape[1:]):
            raise ValueError(f"image_shape={self.image_shape} has {prod(shape)} numbers; X has shape {values.shape}.")
        source = array_source(values, shape, self.kind)
        self._layout = Layout.of(shape, source.spec.shape, values.ndim == 2, values.dtype)
        return self._labelled(source, y, values, classes) if conditional else source

    def _labelled(self, source: Source, y: Any, values: Array, classes: Any) -> Source:
        self.classes_ = np.unique(_checked_labels(y, values) if classes is None else column_or_1d(classes))
        names = tuple(str(name) for name in self.classes_)
        spec = dataclasses.replace(source.spec, num_classes=len(names), class_names=names)
        return dataclasses.replace(source, spec=spec, labels=torch.from_numpy(self._class_numbers(y, values)))

    def _further_source(self, X: Any, y: Any) -> Source:
        """Rows for the model that is there already."""
        spec, values = self.model_.spec, self._values(X)
        self._layout.enter(values, spec.shape)  # says what is wrong with the shape
        labels = torch.from_numpy(self._class_numbers(y, values)) if self._conditional else None
        source = array_source(values, self._layout.shape(spec.shape), kind_of(spec))
        if source.spec.vocabulary > spec.vocabulary > 0:
            raise ValueError(f"X holds the token {source.spec.vocabulary - 1}; {spec.vocabulary - 1} was the highest.")
        return dataclasses.replace(source, spec=spec, labels=labels)

    def _config(self, source: Source) -> dict[str, Any]:
        network = self.network if isinstance(self.network, str) else OwnNetwork(self.network)
        parts = {"network": network, "likelihood": self.likelihood}
        given = {} if self.latent_dim is None else {"latent_dim": self.latent_dim}
        settings = Settings(
            **{name: getattr(self, name) for name in SETTINGS},
            compile="off",  # whether it pays is found by a clock, and two fits shall be the same
            seed=_seed(self.random_state),
        )
        return configured(
            self.method,
            source.spec,
            len(source),
            given | (self.method_params or {}),
            settings,
            corruption=self.corruption or "none",
            augment=self.augment,
            parts={key: value for key, value in parts.items() if value != "auto"},
        ) | {"data": "X in memory"}

    def _fitting(self, source: Source, config: dict[str, Any], *, start: int = 0, **changes: Any) -> Fitting:
        changes["batch_size"] = min(config["settings"]["batch_size"], len(source))
        settings = Settings(**config["settings"] | changes)
        return Fitting(config, source, settings, source.indices(), start=start)

    def _continued(self, fitting: Fitting) -> TrainState:
        """Where the last `partial_fit` ended; after `fit`, its weights with fresh moments."""
        state = fitting.new_state(0)
        if "_training" in self.__dict__:
            state.restore(*self._training)
            return state
        state.adopt(checkpoint.own_weights(self.model_))
        state.step = fitting.start
        return state

    def _train(self, fitting: Fitting, state: TrainState) -> None:
        """Steps to the end; keeps the averaged weights and a history."""
        epoch: list[dict[str, float]] = []
        with computing(state.plan):
            for step, _ in fitting.evaluated(state):
                if not step.skipped:
                    epoch.append({"loss": step.loss, **step.terms, "lr": step.lr})
                done = step.number - fitting.start
                if epoch and (done % fitting.feed.steps_per_epoch == 0 or step.number == state.total_steps):
                    means = {name: float(np.mean([figures[name] for figures in epoch])) for name in epoch[0]}
                    self.history_.append({"epoch": len(self.history_) + 1, "step": step.number, **means})
                    epoch = []
                    if self.verbose:
                        sys.stderr.write(f"[Autoencoder] epoch {len(self.history_)}, loss {means['loss']:.4f} nats\n")
        config = fitting.config | {"plan": dataclasses.asdict(state.plan), "progress": state.counters()}
        with seeded(0):
            self.model_ = checkpoint.assemble(config, state.average.cpu().state_dict())
        fit_suggested(self.model_, fitting.source, fitting.rows)

    def _bounds(self, values: Array, numbers: Any) -> Array:
        inputs = self._layout.enter(values, self.model_.spec.shape)
        return log_likelihood(self.model_, inputs, labels=numbers)

    def _labels(self, values: Array, n: int, y: Any = None) -> Array | None:
        """Class numbers for n >= len(values) rows: those of y, or of the class with the highest bound; None where the
        model does not ask."""
        if not self._conditional:
            return None
        if y is not None:
            return _at_least(self._class_numbers(y, values), n)
        bounds = [self._bounds(values, np.full(len(values), c)) for c in range(self.model_.spec.num_classes)]
        return _at_least(np.argmax(bounds, axis=0), n)

    def _class_numbers(self, y: Any, values: Array) -> Array:
        """Of one label for each of the values."""
        labels = _checked_labels(y, values)
        known = np.isin(labels, self.classes_)
        if not known.all():
            raise ValueError(f"y holds {labels[~known][0]!r}, which is none of the classes {self.classes_.tolist()}.")
        return np.searchsorted(self.classes_, labels)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled lies on the CPU, whatever the model was moved to."""
        state = dict(cast(Any, super()).__getstate__())
        return state | ({"model_": self.model_.to("cpu")} if "model_" in state else {})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = asks_for_labels(self.method, self.method_params)
        tags.input_tags.two_d_array = self.image_shape is not None or takes("vector", self.method, self.method_params)
        tags.input_tags.three_d_array = True
        return tags


def _at_least(rows: Array, n: int = LEAST) -> Array:
    """The rows, and the last of them again until there are n."""
    return np.pad(rows, [(0, max(0, n - len(rows))), *[(0, 0)] * (rows.ndim - 1)], mode="edge")


def _seed(random_state: Any) -> int:
    """A number is its own seed, as in `gargalo.train`."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(1 << 31))


def _checked_labels(y: Any, values: Array) -> Array:
    labels = column_or_1d(y)
    check_consistent_length(values, labels)
    check_classification_targets(labels)
    return labels

"""The scikit-learn face: its common checks for every method, and what they do not look at."""

import copy
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import gargalo
from gargalo import Autoencoder, CheckpointError
from gargalo.checkpoint import TrainedModel
from gargalo.data import open_source
from gargalo.fitting import takes
from gargalo.registry import method as registry
from gargalo.verbs import prior

EVERY = sorted(gargalo.available("methods"))
METHODS = [method for method in EVERY if takes("vector", method, None)]
IRIS, KINDS = load_iris(return_X_y=True)
PIXELS = (load_digits().images[:120] / 16 * 255).astype(np.uint8)
DIGITS = load_digits().target[:120]


@pytest.fixture(autouse=True)
def _short_fits(monkeypatch):
    """Of priors that are fitted after training: how well is asked elsewhere."""
    monkeypatch.setattr(prior, "EPOCHS", 3)


def tiny(method="vae", **options):
    options = {"network": "mlp:width=16,depth=1", "epochs": 2, "random_state": 0} | options
    return Autoencoder(method, **options)


def weights(estimator):
    return torch.cat([t.flatten() for t in estimator.model_.net.state_dict().values()])


class OfRows(Autoencoder):
    """Takes tables, as all of scikit-learn's checks are about tables, and makes of a row what a method for pictures or
    sequences alone takes: a picture of so many numbers and zeros, or as many bits, an even number of them."""

    def _values(self, X, reset=False):
        rows = super()._values(X, reset)
        if self.kind == "bits":
            return np.pad(rows > 0, [(0, 0), (0, rows.shape[1] % 2)])[:, :, None].astype(rows.dtype)
        return np.pad(expit(rows), [(0, 0), (0, -rows.shape[1] % 64)]).reshape(len(rows), -1, 8)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def checked(method):
    """Every method, as it is where it takes tables; corruptions that change the shape have no place in these checks."""
    if method in METHODS:
        return tiny(method)
    small = {"size": "tiny"} if "size" in registry.arguments(method) else {}
    options = {"corruption": "none", "epochs": 1, "random_state": 0}
    if takes("image", method, None):
        return OfRows(method, method_params=small, **options)
    return OfRows(method, 4, method_params=small, network="mixer:width=8,depth=1", kind="bits", **options)


@parametrize_with_checks([checked(method) for method in EVERY])
def test_estimator_checks(estimator, check):
    check(estimator)


def test_tags_say_which_methods_take_no_tables():
    without = {method for method in EVERY if not tiny(method).__sklearn_tags__().input_tags.two_d_array}
    assert without == {"msssim_vae", "denoiser", "upscaler", "inpainter", "music", "music_classic"}
    assert Autoencoder("denoiser", image_shape=(8, 8)).__sklearn_tags__().input_tags.two_d_array


@pytest.mark.parametrize("method", METHODS)
def test_every_method_through_the_whole_interface(method):
    fitted = tiny(method).fit(IRIS, KINDS)
    codes = fitted.transform(IRIS)
    assert codes.shape == (150, len(fitted.get_feature_names_out()))
    for found in (fitted.inverse_transform(codes), fitted.reconstruct(IRIS), fitted.reconstruct(IRIS, KINDS)):
        assert found.shape == IRIS.shape
        assert found.dtype == np.float64
    assert fitted.sample(7).shape == (7, 4)
    assert fitted.score(IRIS) == pytest.approx(fitted.score_samples(IRIS).mean())
    assert np.isfinite(fitted.score(IRIS, KINDS))
    assert [entry["epoch"] for entry in fitted.history_] == [1, 2]
    assert np.array_equal(gargalo.embed(fitted.model_, IRIS, labels=KINDS)[:0].shape[1:], codes.shape[1:])


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 8), {}),
        ((1, 8, 8), {}),
        ((8, 8, 1), {}),
        ((64,), {"image_shape": (8, 8)}),
        ((64,), {"image_shape": (1, 8, 8)}),
        ((4, 4, 4), {"network": "convnet:width=4"}),
        ((3, 8, 5), {"augment": "none"}),
        ((8, 5, 3), {"augment": "none"}),
    ],
)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_pictures_come_back_as_they_were_given(shape, options, kind):
    count = PIXELS.size // np.prod(shape)
    pictures = PIXELS.ravel()[: count * np.prod(shape)].reshape(count, *shape)[:60]
    if shape == (4, 4, 4):
        with pytest.raises(ValueError, match="cannot tell which"):
            tiny(**options).fit(pictures)
        return
    given = pictures if kind is np.uint8 else (pictures / 255).astype(kind)
    fitted = tiny(latent_dim=3, **options).fit(given)
    assert fitted.model_.spec.kind == "image"
    assert fitted.n_features_in_ == np.prod(shape)
    codes = fitted.transform(given)
    assert codes.shape == (60, 3)
    for found in (fitted.reconstruct(given), fitted.inverse_transform(codes), fitted.sample(60)):
        assert found.shape == given.shape
        assert found.dtype == kind
        assert (found.max() > 1) == (kind is np.uint8)
    assert fitted.score_samples(given).shape == (60,)


def test_layouts_mean_the_same_pictures():
    color = np.stack([PIXELS[:40], PIXELS[40:80], PIXELS[80:]], axis=1)
    first = tiny(augment="none").fit(color)
    last = tiny(augment="none").fit(np.moveaxis(color, 1, -1))
    rows = tiny(augment="none", image_shape=(3, 8, 8)).fit(color.reshape(40, -1))
    assert torch.equal(weights(first), weights(last))
    assert torch.equal(weights(first), weights(rows))
    assert np.array_equal(np.moveaxis(last.reconstruct(np.moveaxis(color, 1, -1)), -1, 1), first.reconstruct(color))
    assert np.array_equal(rows.reconstruct(color.reshape(40, -1)), first.reconstruct(color).reshape(40, -1))
    assert np.array_equal(gargalo.embed(first.model_, color), first.transform(color))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (PIXELS[:, :7], r"takes \(n, 8, 8\), or rows of 64"),
        (PIXELS.reshape(-1, 4, 4, 4), r"takes \(n, 8, 8\)"),
        (PIXELS.reshape(120, 64)[:, :60], "60 features"),
        (PIXELS * 2.0, r"in \[0, 1\]"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_in_words(X, message):
    fitted = tiny().fit(PIXELS)
    with pytest.raises(ValueError, match=message):
        fitted.transform(X)


def test_what_cannot_be_fitted_is_refused_in_words():
    with pytest.raises(ValueError, match=r"image_shape=\(8, 9\) has 72 numbers"):
        tiny(image_shape=(8, 9)).fit(PIXELS.reshape(120, 64))
    with pytest.raises(ValueError, match="floats must lie in"):
        tiny(image_shape=(8, 8)).fit(load_digits().data)
    with pytest.raises(ValueError, match="32-bit"):
        tiny().fit(IRIS * 1e300)
    with pytest.raises(ValueError, match="Did you mean 'vae'"):
        tiny("vaee").fit(IRIS)
    with pytest.raises(ValueError, match="has no 'bata'"):
        tiny("beta_vae", method_params={"bata": 2}).fit(IRIS)
    with pytest.raises(ValueError, match="codes of this Autoencoder are"):
        tiny(latent_dim=2).fit(IRIS).inverse_transform(np.zeros((2, 3)))
    with pytest.raises(NotFittedError):
        tiny().sample(3)
    with pytest.raises(ValueError, match="not conditional"):
        tiny().fit(IRIS).sample(3, label=1)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_in_and_out(kind):
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"], index=range(7, 157))
    fitted = tiny(latent_dim=2).set_output(transform=kind).fit(frame)
    codes = fitted.transform(frame)
    assert type(codes).__module__.partition(".")[0] == kind
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    assert list(fitted.feature_names_in_) == list(frame.columns)
    if kind == "pandas":
        assert codes.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame[["d", "c", "b", "a"]])


def test_pickled_and_copied_it_is_the_same(tmp_path):
    fitted = tiny().partial_fit(PIXELS)
    fitted.reconstruct(PIXELS)
    joblib.dump(fitted, tmp_path / "model.joblib")
    twins = [pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib"), copy.deepcopy(fitted)]
    for twin in twins:
        assert np.array_equal(twin.transform(PIXELS), fitted.transform(PIXELS))
        assert np.array_equal(twin.sample(3), fitted.sample(3))
        twin.partial_fit(PIXELS)
    fitted.partial_fit(PIXELS)
    for twin in twins:
        assert torch.equal(weights(twin), weights(fitted))


def test_what_is_pickled_lies_on_the_processor(monkeypatch):
    fitted = tiny().fit(IRIS)
    moved = []
    # No accelerator is needed to see what would be asked of one: a model elsewhere is copied to the processor.
    monkeypatch.setattr(TrainedModel, "device", torch.device("cuda", 0))
    monkeypatch.setattr(nn.Module, "to", lambda module, place: moved.append((type(module).__name__, place)) or module)
    state = fitted.__getstate__()
    assert moved == [("LatentModel", "cpu"), (type(fitted.model_.objective).__name__, "cpu")]
    assert state["model_"].net is not fitted.model_.net
    assert state["model_"].config == fitted.model_.config


def test_grid_search_over_method_params():
    search = GridSearchCV(
        tiny("beta_vae"), {"method_params": [{"beta": 0.1}, {"beta": 8.0}], "latent_dim": [1, 2]}, cv=2
    )
    search.fit(IRIS)
    assert search.best_params_["method_params"] in ({"beta": 0.1}, {"beta": 8.0})
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.model_.config["arguments"]["beta"] == search.best_params_["method_params"]["beta"]


def test_in_a_pipeline_codes_tell_flowers_apart():
    coder = Autoencoder("vae", latent_dim=2, network="mlp:width=32,depth=1", epochs=60, random_state=0)
    pipeline = make_pipeline(StandardScaler(), coder, KNeighborsClassifier())
    assert pipeline.fit(IRIS[::2], KINDS[::2]).score(IRIS[1::2], KINDS[1::2]) > 0.85
    search = GridSearchCV(make_pipeline(tiny(), KNeighborsClassifier()), {"autoencoder__latent_dim": [1, 2]}, cv=2)
    assert search.fit(IRIS, KINDS).best_score_ > 0.3


def test_partial_fit_goes_on_and_keeps_classes_and_columns():
    streamed = tiny("cvae")
    streamed.partial_fit(IRIS[:60], KINDS[:60], classes=[0, 1, 2])
    before, spec = weights(streamed), streamed.model_.spec
    streamed.partial_fit(IRIS[60:] + 3, KINDS[60:])
    assert not torch.equal(before, weights(streamed))
    assert streamed.model_.spec == spec
    assert streamed.classes_.tolist() == [0, 1, 2]
    assert [entry["epoch"] for entry in streamed.history_] == [1, 2]
    with pytest.raises(ValueError, match="none of the classes"):
        streamed.partial_fit(IRIS, KINDS + 1)


def test_partial_fit_learns_and_goes_on_from_fit():
    streamed = tiny(batch_size=16)
    for _ in range(30):
        streamed.partial_fit(IRIS)
    losses = [entry["loss"] for entry in streamed.history_]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    fitted = tiny(epochs=30).fit(IRIS)
    better = fitted.score(IRIS)
    steps = fitted.model_.config["progress"]["step"]
    fitted.partial_fit(IRIS)
    assert fitted.score(IRIS) > better - 1  # it did not begin anew
    assert fitted.model_.config["progress"]["step"] > steps


def test_one_seed_one_model_and_nobody_elses_randomness():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = tiny().fit(PIXELS)
    codes = first.transform(PIXELS)
    first.score(PIXELS)
    first.sample(2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(weights(first), weights(clone(first).fit(PIXELS)))
    assert not torch.equal(weights(first), weights(tiny(random_state=1).fit(PIXELS)))
    assert np.array_equal(codes, first.transform(PIXELS))
    drawn = tiny(random_state=np.random.RandomState(3)).fit(PIXELS)
    assert torch.equal(weights(drawn), weights(tiny(random_state=np.random.RandomState(3)).fit(PIXELS)))


def pair(inputs, code, outputs):
    return nn.Sequential(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, code)), nn.Linear(outputs // 2, inputs)


def own(spec, latent_dim, outputs, channels):
    return nn.Linear(spec.shape[0], outputs), nn.Linear(latent_dim, spec.shape[0] * channels)


def test_own_networks_as_a_pair_or_a_function():
    given = pair(4, 6, 6)
    before = copy.deepcopy(given[0].state_dict())
    fitted = tiny(latent_dim=3, network=given).fit(IRIS)
    assert fitted.transform(IRIS).shape == (150, 3)
    for name, tensor in given[0].state_dict().items():
        assert torch.equal(tensor, before[name])  # a copy is trained
    assert not torch.equal(fitted.model_.net.encoder[0].weight, given[0][0].weight)
    assert np.array_equal(clone(fitted).fit(IRIS).transform(IRIS), fitted.transform(IRIS))
    twin = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(twin.transform(IRIS), fitted.transform(IRIS))
    assert tiny(network=own).fit(IRIS).partial_fit(IRIS).reconstruct(IRIS).shape == IRIS.shape
    with pytest.raises(TypeError, match="register"):
        fitted.save("nowhere")


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (pair(4, 5, 6), ValueError, r"encoder given as network gives \(n, 5\); .* \(n, 4\) to \(n, 6\)"),
        (pair(5, 6, 6), ValueError, "encoder given as network fails"),
        ((pair(4, 6, 6)[0], nn.Linear(3, 9)), ValueError, r"decoder given as network gives \(n, 9\)"),
        (nn.Linear(4, 6), TypeError, "a pair"),
        (7, TypeError, "a pair"),
    ],
)
def test_own_networks_that_do_not_fit_are_refused_in_words(network, error, message):
    with pytest.raises(error, match=message):
        tiny(latent_dim=3, network=network).fit(IRIS)


def test_from_a_run_it_is_what_gargalo_loads(digits_run):
    fitted = Autoencoder.from_run(digits_run)
    values = open_source("digits").values[:50].numpy()
    assert np.array_equal(fitted.transform(values), gargalo.embed(gargalo.load(digits_run), values))
    assert np.array_equal(fitted.transform(values.reshape(50, 64)), fitted.transform(values))
    assert fitted.reconstruct(values).shape == values.shape
    assert np.array_equal(fitted.sample(4, random_state=3), gargalo.sample(gargalo.load(digits_run), 4, seed=3))
    again = clone(fitted).set_params(epochs=1, latent_dim=5).fit(values.reshape(50, 64))
    assert again.model_.spec.shape == (1, 8, 8)
    assert again.model_.spec.network == fitted.model_.spec.network
    assert again.model_.latent_dim == 5


def test_saved_it_is_a_run(tmp_path):
    fitted = tiny("cvae", latent_dim=2).fit(PIXELS, DIGITS)
    fitted.save(tmp_path / "run")
    again = Autoencoder.from_run(tmp_path / "run")
    assert np.array_equal(again.transform(PIXELS[:, None]), fitted.transform(PIXELS))
    assert gargalo.show(gargalo.load(tmp_path / "run"))["method"] == "cvae"
    with pytest.raises(CheckpointError, match="already"):
        fitted.save(tmp_path / "run")


def test_a_score_is_a_bound_on_the_log_likelihood_in_the_units_of_the_data():
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(3, 3)) * [1, 10, 0.1]
    rows = generator.normal(size=(1000, 3)) @ mixing + 5
    truth = multivariate_normal(np.full(3, 5.0), mixing.T @ mixing).logpdf(rows)
    fitted = Autoencoder("vae", latent_dim=3, network="mlp:width=32,depth=1", epochs=50, random_state=0).fit(rows)
    assert -0.05 < truth.mean() - fitted.score(rows) < 0.6
    assert np.corrcoef(truth, fitted.score_samples(rows))[0, 1] > 0.8


def test_a_score_does_not_depend_on_the_neighbors():
    for method in METHODS:
        fitted = tiny(method, corruption="noise:std=0.2,clip=false").fit(IRIS, KINDS)
        together = fitted.score_samples(IRIS)
        assert np.array_equal(together[70:71], fitted.score_samples(IRIS[70:71]))
        assert np.array_equal(together[::-1], fitted.score_samples(IRIS[::-1]))


def labelled():
    names = np.array(["one", "two"])[np.arange(200) % 2]
    rows = np.random.default_rng(0).normal(size=(200, 2)) * 0.1 + np.where(names == "one", -1, 1)[:, None]
    return (
        Autoencoder("cvae", 1, network="mlp:width=16,depth=1", epochs=60, random_state=0).fit(rows, names),
        rows,
        names,
    )


def test_a_conditional_method_finds_the_label_that_explains_a_row():
    fitted, rows, names = labelled()
    assert fitted.classes_.tolist() == ["one", "two"]
    bounds = np.stack([fitted.score_samples(rows, np.full(200, name)) for name in fitted.classes_])
    assert np.array_equal(fitted.score_samples(rows), bounds.max(axis=0))
    assert (fitted.classes_[bounds.argmax(axis=0)] == names).mean() > 0.95
    assert np.abs(fitted.reconstruct(rows) - fitted.reconstruct(rows, names)).max() < 1e-6
    assert fitted.score(rows, names) > fitted.score(rows, names[::-1])
    assert np.abs(fitted.sample(50, label="two").mean(axis=0) - 1).max() < 0.2
    assert np.abs(fitted.sample(50).mean(axis=0)).max() < 0.2
    codes = fitted.transform(rows)
    both = [fitted.inverse_transform(codes, np.full(200, name)) for name in fitted.classes_]
    np.testing.assert_allclose(fitted.inverse_transform(codes), np.mean(both, axis=0), atol=1e-6)


def test_labels_are_asked_for_where_they_are_needed_and_only_there():
    for method in METHODS:
        required = tiny(method).__sklearn_tags__().target_tags.required
        if required:
            with pytest.raises(ValueError, match="conditional on the class of each row"):
                tiny(method).fit(IRIS)
            with pytest.raises(ValueError, match="Unknown label type"):
                tiny(method).fit(IRIS, IRIS[:, 0])
        else:
            assert not tiny(method).fit(IRIS, IRIS[:, :2]).model_.net.conditional
    assert not Autoencoder("no such method").__sklearn_tags__().target_tags.required


def test_a_denoiser_and_a_super_resolver():
    options = {"network": "mlp:width=64,depth=1", "latent_dim": 16, "epochs": 100}
    denoiser = tiny("autoencoder", corruption="noise:std=0.3", **options).fit(PIXELS)
    noisy = np.clip(PIXELS / 255 + np.random.default_rng(0).normal(0, 0.3, PIXELS.shape), 0, 1)
    clean = denoiser.reconstruct(noisy) / 255
    assert ((clean - PIXELS / 255) ** 2).mean() < ((noisy - PIXELS / 255) ** 2).mean()
    upscaler = tiny("autoencoder", corruption="downscale:factor=2").fit(PIXELS)
    assert upscaler.reconstruct(PIXELS[:, ::2, ::2]).shape == PIXELS.shape
    assert upscaler.score_samples(PIXELS).shape == (120,)


def test_a_budget_of_time_is_kept_and_progress_told(capsys):
    fitted = tiny(epochs=None, time=0.5, verbose=True).fit(IRIS)
    assert fitted.history_[-1]["step"] == fitted.model_.config["progress"]["total_steps"] >= 10
    talk = capsys.readouterr()
    assert not talk.out
    assert f"epoch {len(fitted.history_)}, loss" in talk.err


def test_fitting_writes_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tiny().fit(PIXELS).partial_fit(PIXELS).reconstruct(PIXELS)
    assert not list(Path(tmp_path).iterdir())


def test_gargalo_is_imported_without_scikit_learn():
    code = "import sys, gargalo; gargalo.train; assert 'sklearn' not in sys.modules; gargalo.Autoencoder"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arguments_of_methods_and_of_the_estimator_do_not_clash():
    own = set(Autoencoder().get_params()) - {"latent_dim"}
    for method in METHODS:
        assert not own & set(registry.arguments(method)), method


@pytest.mark.parametrize("axes", [(40, 8, 2), (40, 8)])
def test_series_come_back_as_they_were(axes, tmp_path):
    x = np.random.default_rng(0).normal(5, 3, axes)
    model = Autoencoder(
        "autoencoder", 4, kind="series", network="mixer:size=tiny,depth=1", epochs=1, random_state=0
    ).fit(x)
    assert model.model_.spec.shape == (8, 2)[: len(axes) - 1] + (1,) * (3 - len(axes))
    assert model.transform(x).shape == (40, 4)
    assert model.reconstruct(x).shape == model.inverse_transform(model.transform(x)).shape == axes
    assert model.partial_fit(x[:9]).sample(3).shape == (3, *axes[1:])
    model.save(tmp_path / "run")
    again = Autoencoder.from_run(tmp_path / "run")
    np.testing.assert_array_equal(again.transform(x), model.transform(x).astype(np.float32))


@pytest.mark.parametrize("method", ["vae", "music", "music_classic"])
@pytest.mark.parametrize(("kind", "high", "shape"), [("bits", 2, (8, 3)), ("bits", 2, (8,)), ("tokens", 5, (8,))])
def test_sequences_of_symbols(method, kind, high, shape, tmp_path):
    given = np.random.default_rng(0).integers(0, high, (40, *shape))
    fitted = tiny(method, latent_dim=3, network="mixer:width=8,depth=1", kind=kind).fit(given)
    assert fitted.transform(given).shape == (40, 3)
    for found in (fitted.reconstruct(given), fitted.inverse_transform(fitted.transform(given)), fitted.sample(40)):
        assert found.shape == given.shape
        assert found.dtype == given.dtype
        assert set(np.unique(found)) <= set(range(high))
    assert fitted.score_samples(given).shape == (40,)
    assert fitted.partial_fit(given.astype(float)).history_[-1]["epoch"] == 3
    with pytest.raises(ValueError, match=f"token {high + 2}" if kind == "tokens" else "bits are 0 and 1"):
        fitted.partial_fit(given + 3)
    fitted.save(tmp_path / "run")
    again = Autoencoder.from_run(tmp_path / "run")
    assert again.kind == kind
    np.testing.assert_array_equal(again.transform(given), fitted.transform(given).astype(np.float32))
    with pytest.raises(ValueError, match="whole numbers from 0"):
        fitted.transform(given + 3)

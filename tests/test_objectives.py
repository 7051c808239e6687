"""What objectives look at, and what they leave alone."""

from dataclasses import replace

import pytest
import torch

from gargalo import functional, methods  # noqa: F401  (methods registers them)
from gargalo.model import Batch
from gargalo.registry import method
from gargalo.spec import DataSpec
from gargalo.training import seeded

SHAPES = {"image": (1, 12, 8), "vector": (40,)}


def task(name, kind, **arguments):
    """A model, its objective, and a batch whose input can be differentiated."""
    with seeded(0):
        likelihood = "bernoulli" if kind == "image" else "gaussian:std=1.0"
        model, objective = method[name](DataSpec(kind, SHAPES[kind], likelihood=likelihood), **arguments)
        target = torch.rand(6, *SHAPES[kind])
    return model, objective, Batch(target.clone().requires_grad_(), target)


def used(model, objective, batch, seed):
    """The loss of one step, and which entries of the input it depends on."""
    with seeded(seed):
        total = objective(model, batch).total
    (gradient,) = torch.autograd.grad(total, batch.input)
    return total, gradient != 0


@pytest.mark.parametrize("kind", SHAPES)
def test_a_masked_autoencoder_sees_other_parts_at_every_step_of_training(kind):
    model, objective, batch = task("masked_autoencoder", kind, mask="patches:share=0.75,size=4")
    (first, seen), (again, same), (_, other) = (used(model, objective, batch, seed) for seed in (1, 1, 2))
    assert first == again
    assert torch.equal(seen, same)
    assert not torch.equal(seen, other)
    assert 0.1 < seen.float().mean() < 0.4
    squares = seen if kind == "vector" else seen.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)
    if kind == "image":
        assert torch.equal(squares.any(-1), squares.all(-1))


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_hidden_must_be_decoded_all_the_same(kind):
    model, objective, batch = task("masked_autoencoder", kind)
    total, seen = used(model, objective, batch, 1)
    brighter = replace(batch, target=torch.where(seen, batch.target, batch.target + 0.5))
    assert not torch.isclose(used(model, objective, brighter, 1)[0], total)


@pytest.mark.parametrize("kind", SHAPES)
def test_nothing_is_hidden_outside_training(kind):
    model, objective, batch = task("masked_autoencoder", kind)
    total, seen = used(model, objective.eval(), batch, 1)
    assert seen.all()
    assert total == model(batch).nll.mean()


STILL = "views:turn=0,scale=0,shear=0,shift=0,hide=0"


@pytest.mark.parametrize("kind", SHAPES)
def test_a_contrastive_autoencoder_adds_up_what_it_says(kind):
    weights = {"contrast": 7.0, "edges": 3.0, "temperature": 0.3}
    model, objective, batch = task("contrastive_autoencoder", kind, views=STILL, **weights)
    total, terms = objective(model, batch)
    out = model(batch)
    projected = objective.projector(out.z)
    sketch = (objective.sketcher(out.z) - functional.outline(batch.target)).square().sum(1)
    contrast = functional.nt_xent(projected, projected, 0.3)
    torch.testing.assert_close(terms["edges"], sketch.mean().detach())
    torch.testing.assert_close(terms["contrast"], contrast.mean().detach())
    torch.testing.assert_close(total, out.nll.mean() + 7 * contrast.mean() + 3 * sketch.mean())


def test_edges_to_tell_are_those_of_the_example_and_not_of_its_views():
    model, objective, batch = task("contrastive_autoencoder", "image", contrast=0.0, edges=1e4, views=STILL)
    brighter = replace(batch, target=1 - 0.5 * batch.target)
    before, after = (objective(model, b).terms["edges"] for b in (batch, brighter))
    assert not torch.isclose(before, after)


@pytest.mark.parametrize("wrong", [{"contrast": -1.0}, {"edges": -1.0}, {"temperature": 0.0}])
def test_a_contrastive_autoencoder_refuses_weights_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="at least 0"):
        task("contrastive_autoencoder", "image", **wrong)

"""Code books: nearest vectors, straight-through gradients, numbers there and back."""

import pytest
import torch

from gargalo import bottlenecks
from gargalo.functional import code_shares, perplexity
from gargalo.training import seeded

QUANTIZERS = {
    "vq": lambda: bottlenecks.VectorQuantizer(16, 3, 5),
    "vq by gradients": lambda: bottlenecks.VectorQuantizer(16, 3, 5, decay=None),
    "residual": lambda: bottlenecks.ResidualQuantizer(8, 3, 5, 2, 0.9),
    "fsq": lambda: bottlenecks.ScalarQuantizer((4, 3, 5), 5),
}


@pytest.fixture(params=QUANTIZERS)
def quantizer(request):
    with seeded(0):
        return QUANTIZERS[request.param]().eval()


def test_code_numbers_lead_to_their_vectors_and_back(quantizer):
    posterior = quantizer(torch.randn(20, quantizer.outputs))
    indices = posterior.indices.flatten(1)
    torch.testing.assert_close(quantizer.look_up(indices), posterior.mode)
    if not isinstance(quantizer, bottlenecks.ResidualQuantizer):  # of a sum of vectors, others may be nearer
        assert torch.equal(quantizer.find(posterior.mode), indices)
    assert indices.shape[1] == len(quantizer.sizes)
    assert int(indices.max()) < quantizer.sizes[0]


def test_gradients_go_straight_through(quantizer):
    h = torch.randn(4, quantizer.outputs, requires_grad=True)
    posterior = quantizer(h)
    z, log_q = posterior.draw()
    torch.testing.assert_close(z, posterior.mode)
    assert bool((log_q == 0).all())
    (slope,) = torch.autograd.grad(z.sum(), h, retain_graph=True)
    (expected,) = torch.autograd.grad(posterior.features.sum(), h) if posterior.features.requires_grad else (slope,)
    torch.testing.assert_close(slope, expected)


def test_the_nearest_vector_is_taken():
    quantizer = bottlenecks.VectorQuantizer(16, 3, 5).eval()
    h = torch.randn(10, 15)
    posterior = quantizer(h)
    brute = torch.cdist(h.view(50, 3), quantizer.vectors).argmin(1)
    assert torch.equal(posterior.indices.flatten(), brute)


def test_moving_averages_find_the_clusters_and_no_vector_stays_unused():
    with seeded(0):
        centers = 5 * torch.randn(8, 4)
        quantizer = bottlenecks.VectorQuantizer(14, 4, 1, decay=0.9)
        quantizer.vectors.fill_(100.0)  # all far away, and all in one place
        quantizer.sums.fill_(100.0)
        for _ in range(400):
            quantizer(centers[torch.randint(0, 8, (64,))] + 0.01 * torch.randn(64, 4))
        found = quantizer.eval()(centers).indices.flatten()
    assert len(found.unique()) == 8
    assert bool((torch.cdist(centers, quantizer.vectors).min(1).values < 0.1).all())


def test_scalar_levels_are_all_reached_and_evenly_spaced():
    quantizer = bottlenecks.ScalarQuantizer((4, 3), 8)
    h = torch.randn(5_000, 16)
    vectors = quantizer(h).vectors.flatten(0, 1)
    torch.testing.assert_close(vectors[:, 0].unique(), torch.tensor([-1, -1 / 3, 1 / 3, 1]))
    torch.testing.assert_close(vectors[:, 1].unique(), torch.tensor([-1.0, 0, 1]))
    assert len(quantizer(h).indices.unique()) == 12


def test_perplexity_counts_the_codes_in_use():
    indices = torch.tensor([[0, 1], [2, 3]])
    assert float(perplexity(code_shares(indices, 10))) == pytest.approx(4)
    assert float(perplexity(code_shares(torch.zeros(5, 2, dtype=torch.long), 10))) == pytest.approx(1)
    books = torch.stack([torch.tensor([[0, 1]]), torch.tensor([[3, 3]])], 2)  # the first has two in use, the second one
    assert float(perplexity(code_shares(books, 5))) == pytest.approx(1.5)


def test_scalar_quantization_does_not_saturate():
    """Encoders that had grown large at a high rate were at the ends of every level for good."""
    h = (1_000 * torch.randn(50, 24)).requires_grad_()
    codes = bottlenecks.ScalarQuantizer((8, 5, 5), 8)(h)
    assert float((codes.features.abs() < 0.95).float().mean()) > 0.8
    assert len(codes.indices.unique()) > 100
    assert bool(torch.autograd.grad(codes.draw()[0].square().sum(), h)[0].abs().gt(0).all())

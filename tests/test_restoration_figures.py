"""The metrics are believed because they give the published figures of bicubic interpolation."""

import pytest
import torch
from tests.conftest import SHARED

from gargalo.data.images import read_image
from gargalo.evaluation import restoration


def pictures(folder):
    files = sorted((SHARED / folder).glob("*.png"))
    if not files:
        pytest.skip(f"{SHARED / folder} is not there")
    return [torch.from_numpy(read_image(file)).permute(2, 0, 1)[None] / 255 for file in files]


@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(2, 33.68, 0.930), (3, 30.40, 0.869), (4, 28.43, 0.811)])
def test_bicubic_on_set5_is_as_published(scale, psnr, ssim):
    found = []
    for picture in pictures("set5"):
        target, small = restoration.shrunk(picture, scale)
        large = restoration.resized(small, target.shape[-2:])
        found.append(restoration.figures(large, target, border=scale, brightness=True))
    assert sum(f["psnr"] for f in found) / len(found) == pytest.approx(psnr, abs=0.05)
    assert sum(f["ssim"] for f in found) / len(found) == pytest.approx(ssim, abs=0.001)


def test_brightness_goes_from_16_to_235():
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert torch.allclose(restoration.luma(ends)[:, 0, 0, 0] * 255, torch.tensor([16.0, 235.0]), atol=1e-3)


def test_figures_against_a_hand_count():
    target = torch.zeros(1, 1, 20, 20)
    output = target.clone()
    output[..., 0, :] = 1.0  # the border, which is left out
    output[..., 9, 9] = 51 / 255
    found = restoration.figures(output, target, border=1)
    assert found["psnr"] == pytest.approx(10 * torch.log10(torch.tensor(18 * 18 * 25.0)).item(), abs=1e-3)


def test_noise_is_that_of_its_seed_and_not_clipped():
    white = torch.ones(1, 1, 64, 64)
    a, b = restoration.noisy(white, 25, 3), restoration.noisy(white, 25, 3)
    assert torch.equal(a, b)
    assert a.max() > 1
    assert float((a - white).std()) == pytest.approx(25 / 255, rel=0.05)

"""A photograph, noised and cleaned, shrunk and enlarged, by weights that ship, beside classical ways.

Writes four pictures into a folder: python examples/clean_and_enlarge.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_image

import gargalo
from gargalo.data import write_image
from gargalo.evaluation import restoration

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/photograph")
out.mkdir(parents=True, exist_ok=True)
photo = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)[None, ..., :426, :640] / 255


def show(name: str, picture: torch.Tensor, border: int = 0, brightness: bool = False) -> None:
    found = restoration.figures(picture, photo, border=border, brightness=brightness)
    print(f"{name:34} {found['psnr']:6.2f} dB  SSIM {found['ssim']:.4f}")


def pixels(picture: torch.Tensor) -> np.ndarray:
    return (restoration.eight_bit(picture)[0] * 255).byte().permute(1, 2, 0).numpy()


def values(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None] / 255


noisy = pixels(restoration.noisy(photo, sigma=25, seed=0))
print(f"noise of 25 of 255; measured: {gargalo.noise_level(noisy):.1f}")
show("as it came", values(noisy))
blurs = [gaussian_filter(noisy, (width, width, 0)) for width in (0.6, 0.8, 1.0, 1.2, 1.5)]
best = max(blurs, key=lambda x: restoration.figures(values(x), photo)["psnr"])
show("the best Gaussian blur", values(best))
clean = gargalo.denoise(gargalo.shipped("denoiser-color"), noisy)
show("gargalo.denoise", values(clean))

_, small = restoration.shrunk(photo, 2)
show("half the size, bicubic", restoration.resized(small, (426, 640)), 2, True)
large = gargalo.upscale(gargalo.shipped("upscaler-2"), pixels(small))
show("half the size, gargalo.upscale", values(large), 2, True)

for name, picture in {"noisy": noisy, "clean": clean, "small": pixels(small), "large": large}.items():
    write_image(picture.transpose(2, 0, 1), out / f"{name}.png")
print(out)

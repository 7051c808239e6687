"""The classical filters and interpolations that restoration is measured beside: ``pip install -e '.[rivals]'``.

Filters take a noisy picture ``[H, W, C]`` around [0, 1] and the noise's sigma in the same unit, known to them; each
has the settings its own documentation recommends.
"""

from __future__ import annotations

from collections.abc import Callable

import bm3d
import cv2
import numpy as np
import torch
from PIL import Image
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

Filter = Callable[[np.ndarray, float], np.ndarray]


def nothing(noisy: np.ndarray, sigma: float) -> np.ndarray:
    return noisy


def nlm(noisy: np.ndarray, sigma: float) -> np.ndarray:
    options = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * sigma, "sigma": sigma, "fast_mode": True}
    return denoise_nl_means(noisy, channel_axis=-1, **options).reshape(noisy.shape)


def total_variation(noisy: np.ndarray, sigma: float) -> np.ndarray:
    return denoise_tv_chambolle(noisy, weight=sigma, channel_axis=-1)


def wavelet(noisy: np.ndarray, sigma: float) -> np.ndarray:
    color = noisy.shape[2] == 3
    options = {"method": "BayesShrink", "mode": "soft", "rescale_sigma": True, "convert2ycbcr": color}
    return denoise_wavelet(noisy, sigma=sigma, channel_axis=-1, **options)


def opencv_nlm(noisy: np.ndarray, sigma: float) -> np.ndarray:
    pixels = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)
    if pixels.shape[2] == 3:
        half = 255 * sigma / 2  # the best of five shares on flowers and portraits: it works on other colors than RGB
        return cv2.fastNlMeansDenoisingColored(pixels, None, half, half) / 255
    return cv2.fastNlMeansDenoising(pixels[..., 0], None, 255 * sigma)[..., None] / 255


def block_matching(noisy: np.ndarray, sigma: float) -> np.ndarray:
    profile = bm3d.BM3DProfile()
    profile.num_threads = 1
    if noisy.shape[2] == 3:
        return bm3d.bm3d_rgb(noisy, sigma, profile=profile)
    return bm3d.bm3d(noisy[..., 0], sigma, profile=profile)[..., None]


FILTERS: dict[str, Filter] = {
    "input": nothing,
    "TV": total_variation,
    "wavelet": wavelet,
    "OpenCV NLM": opencv_nlm,
    "scikit-image NLM": nlm,
    "BM3D": block_matching,
}
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "Lanczos": Image.Resampling.LANCZOS}


def interpolated(small: np.ndarray, scale: int, method: str) -> np.ndarray:
    """A picture uint8 ``[h, w, C]`` so many times as large."""
    height, width, channels = small.shape
    image = Image.fromarray(small[..., 0] if channels == 1 else small)
    large = np.asarray(image.resize((width * scale, height * scale), INTERPOLATIONS[method]))
    return large.reshape(height * scale, width * scale, channels)


def alone() -> None:
    """One thread for all."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

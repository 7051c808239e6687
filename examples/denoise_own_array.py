"""A denoiser from an array of clean pictures: corruption makes the task."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import gargalo

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/denoise")
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 100

out.mkdir(parents=True, exist_ok=True)
clean = (load_digits().images / 16 * 255).astype(np.uint8)
np.save(out / "clean.npy", clean)

model = gargalo.train("autoencoder", str(out / "clean.npy"), out / "run", corruption="noise:std=0.3", epochs=epochs)
found = gargalo.evaluate(model)
print(f"PSNR {found['psnr']:.2f} dB; as it came {found['baselines']['input']['psnr']:.2f} dB")

noisy = np.clip(clean[:4] / 255 + np.random.default_rng(0).normal(0, 0.3, (4, 8, 8)), 0, 1)
print(gargalo.reconstruct(model, noisy[:, None].astype(np.float32)).shape)

"""A map of handwritten digits: two numbers a picture, and pictures back from any two numbers."""

import sys
from pathlib import Path

import numpy as np

import gargalo
from gargalo.data import write_image
from gargalo.plots import grid

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/two-numbers")
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 100

model = gargalo.train("vae", "digits", out, latent_dim=2, epochs=epochs)
print(gargalo.evaluate(model)["verdict"])

axis = np.linspace(-1.5, 1.5, 10)
codes = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
write_image(grid(gargalo.decode(model, codes), 10), out / "map.png")
print(out / "map.png")

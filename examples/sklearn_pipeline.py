"""Codes in a scikit-learn pipeline, and a search over a method's own arguments."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gargalo import Autoencoder

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/sklearn")
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 60

digits = load_digits()
pictures = (digits.images / 16 * 255).astype(np.uint8)
train, test, labels, expected = train_test_split(pictures, digits.target, test_size=0.3, random_state=0)

coder = Autoencoder("vae", latent_dim=8, epochs=epochs, random_state=0)
pipeline = make_pipeline(coder, StandardScaler(), KNeighborsClassifier())
print(f"right about {pipeline.fit(train, labels).score(test, expected):.1%} of new digits")
print(f"at least {coder.score(test):.1f} nats a new digit; samples {coder.sample(16).shape}")

small = Autoencoder("beta_vae", latent_dim=8, epochs=epochs, network="mlp:width=64", random_state=0)
search = GridSearchCV(small, {"method_params": [{"beta": 0.5}, {"beta": 2.0}]}, cv=2).fit(train)
print(f"the higher bound: {search.best_params_}")

coder.save(out)
print(f"now: gargalo sample {out} -o new.png")

"""The scikit-learn face: its common checks for every method, and what they do not look at."""

from sklearn.utils.estimator_checks import parametrize_with_checks

import gargalo
from gargalo import Autoencoder

METHODS = sorted(gargalo.available("methods"))


def tiny(method, **options):
    options = {"network": "mlp:width=16,depth=1", "epochs": 2, "random_state": 0} | options
    return Autoencoder(method, **options)


@parametrize_with_checks([tiny(method) for method in METHODS])
def test_estimator_checks(estimator, check):
    check(estimator)

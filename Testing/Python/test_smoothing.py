"""Smoothing in float32 gives what scipy's gives, faster."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from SScILDScoringTrainingLib.smoothing import smooth, weighted_rows


@pytest.mark.parametrize("mode", ["reflect", "nearest"])
@pytest.mark.parametrize("sigma", [0.1, 0.45, 1.2, 6.0])
@pytest.mark.parametrize("shape", [(40, 57), (9, 5)])
def test_smoothing_is_that_of_scipy(shape, sigma, mode):
    image = np.random.default_rng(0).normal(-500, 300, shape).astype(np.float32)
    expected = gaussian_filter(image, sigma, mode=mode, truncate=2.5)
    found = smooth(image, sigma, truncate=2.5, mode=mode)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_rows_are_added_with_their_weights():
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = weighted_rows(np.array([[0, 1], [3, 3]]), np.array([[1, 2], [0.5, 0.5]]), values)
    np.testing.assert_array_equal(found, [values[0] + 2 * values[1], values[3]])

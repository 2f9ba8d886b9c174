"""Augmentation moves image, masks and levels together, and depends on the given generator only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SScILDScoringLib.preprocessing import resize_slice
from SScILDScoringTrainingLib.transforms import (
    SliceAugmentation,
    gaussian_blur,
    intensity_augmented,
    slice_matrix,
    warp_masks,
    warp_slice,
)
from SScILDScoringTrainingLib.volume_transforms import VolumeAugmentation, VolumeView, augmented_volume

IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def test_an_unmoved_slice_is_resized_exactly_as_scoring_does_it():
    image = np.random.default_rng(0).normal(-800, 100, (64, 64)).astype(np.float32)
    moved = warp_slice(image[None], IDENTITY, 32, np.array([-1024.0]))[0]
    assert np.allclose(moved, resize_slice(image, 32, 32), atol=1e-2)


def test_shift_scale_and_rotation_keep_to_their_ranges():
    settings = SliceAugmentation(rotation_degrees=30, scale=(0.95, 1.05), shift_pixels=10)
    for n in range(200):
        matrix = slice_matrix(settings, 512, np.random.default_rng(n))
        inverse = np.linalg.inv(matrix[:, :2])
        assert 0.95 - 1e-9 <= np.sqrt(np.linalg.det(inverse)) <= 1.05 + 1e-9
        assert abs(np.degrees(np.arctan2(inverse[1, 0], inverse[0, 0]))) <= 30 + 1e-9
        assert (np.abs(inverse @ matrix[:, 2]) * 256 <= 10 + 1e-6).all()


def test_a_shift_of_ten_pixels_moves_a_point_by_ten_pixels():
    image = np.zeros((64, 64), np.float32)
    image[30, 20] = 1
    matrix = np.array([[1.0, 0, -10 * 2 / 64], [0, 1, 0]])
    moved = warp_slice(image[None], matrix, 64, np.zeros(1))[0]
    assert np.unravel_index(moved.argmax(), moved.shape) == (30, 30)


def test_what_comes_from_outside_has_the_fill_value():
    matrix = np.array([[1.0, 0, 1.0], [0, 1, 0]])
    moved = warp_slice(np.full((2, 16, 16), 7.0), matrix, 16, np.array([-1024.0, 0.0]))
    assert moved[0, :, -1] == pytest.approx(-1024)
    assert moved[1, :, -1] == pytest.approx(0)


def test_shrinking_averages_and_drops_no_pixel():
    image = np.zeros((128, 128), np.float32)
    image[::4, ::4] = 16
    moved = warp_slice(image[None], IDENTITY, 16, np.zeros(1))[0]
    assert moved.mean() == pytest.approx(image.mean(), rel=0.02)


@pytest.mark.parametrize("size", [96, 20])
def test_masks_are_moved_where_they_lie_exactly_as_whole_slices_are(size):
    flags = np.zeros((96, 96), np.uint8)
    flags[20:60, 31:77] = 1
    flags[30:40, 50:70] |= 4
    flags[36:50, 40:60] |= 8
    settings = SliceAugmentation(rotation_degrees=40, scale=(0.6, 1.4), shift_pixels=40)
    for n in range(20):
        matrix = slice_matrix(settings, 96, np.random.default_rng(n))
        masks = [(flags & bit) != 0 for bit in (1, 12, 4)]
        expected = warp_slice(masks, matrix, size, np.zeros(3))
        covered, (rows, columns) = warp_masks(flags, (1, 12, 4), matrix, size, multiple=4)
        assert rows.start % 4 == rows.stop % 4 == columns.start % 4 == columns.stop % 4 == 0
        whole = np.zeros_like(expected)
        whole[:, rows, columns] = covered
        np.testing.assert_allclose(whole, expected, atol=2e-5)


def test_masks_that_are_empty_or_moved_out_of_sight_cover_nothing():
    flags = np.zeros((32, 32), np.uint8)
    assert warp_masks(flags, (1, 2), IDENTITY, 32)[0].shape == (2, 0, 0)
    flags[:4, :4] = 3
    assert warp_masks(flags, (1, 2), np.array([[1.0, 0, 9.0], [0, 1, 0]]), 32)[0].size == 0


def test_blur_keeps_the_mean_and_lowers_the_noise():
    noise = np.random.default_rng(0).normal(0, 10, (64, 64)).astype(np.float32)
    soft = gaussian_blur(noise, 1.0)
    assert soft.mean() == pytest.approx(noise.mean(), abs=0.3)
    assert soft.std() < 0.4 * noise.std()


def test_noise_has_the_configured_strength():
    flat = np.full((128, 128), -800.0, np.float32)
    settings = SliceAugmentation(noise_hu=(25, 25), noise_share=1.0)
    noisy = intensity_augmented(flat, settings, np.random.default_rng(3))
    assert noisy.std() == pytest.approx(25, rel=0.05)


@pytest.fixture(scope="module")
def bright_levels():
    """A volume in which the slice of each level has its own brightness in the middle."""
    volume = np.full((64, 24, 24), -1000, np.int16)
    levels = np.array([52.0, 43.0, 33.0, 26.0, 18.0])
    for n, k in enumerate(levels.astype(int)):
        volume[k] = 200 * (n + 1)
    return volume, levels


def test_levels_move_with_the_volume(bright_levels):
    volume, levels = bright_levels
    settings = VolumeAugmentation(scale=(0.9, 1.1), shift=0.03, cut=0.2, pad=0.1, tilt_degrees=4, noise_hu=(0, 0))
    for seed in range(20):
        moved, new = augmented_volume(volume, levels, settings, np.random.default_rng(seed))
        centre = moved[:, 11:13, 11:13].mean((1, 2))
        assert (new > 0).all()
        assert (new < 63).all()
        for n, z in enumerate(new):
            near = centre[max(int(z) - 1, 0) : int(z) + 3]
            assert near.max() > 0.3 * (200 * (n + 1) + 1000) - 1000, (seed, n)


def test_cutting_never_removes_a_level(bright_levels):
    volume, _ = bright_levels
    levels = np.array([62.0, 50.0, 30.0, 16.0, 1.0])
    for seed in range(50):
        _, new = augmented_volume(volume, levels, VolumeAugmentation(cut=0.4), np.random.default_rng(seed))
        assert new.min() >= 0
        assert new.max() <= 63


def test_the_same_generator_gives_the_same_sample(bright_levels):
    volume, levels = bright_levels
    settings = VolumeAugmentation(rotation_degrees=10, cut=0.2, noise_hu=(10, 40), gamma=(0.8, 1.2))
    first, second = (augmented_volume(volume, levels, settings, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@pytest.mark.parametrize("changes", [{}, {"tilt_degrees": 6}, {"cut": 0.3, "pad": 0.2, "rotation_degrees": 15}])
def test_slices_then_height_is_the_same_as_one_grid_in_three_dimensions(bright_levels, changes):
    """Interpolating slice by slice and then along z gives what a general trilinear grid gives."""
    rng = np.random.default_rng(2)
    volume = rng.integers(-1024, 1500, (24, 20, 20)).astype(np.int16)
    levels = np.array([20.0, 16, 12, 9, 5])
    settings = VolumeAugmentation(scale=(0.9, 1.1), shift=0.05, **changes)
    view = VolumeView.drawn(volume.shape, levels, settings, rng)
    depth, height, width = volume.shape
    z = view.low + (torch.arange(depth) + 0.5) * (view.high - view.low) / depth - 0.5
    y, x = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
    z, y, x = torch.meshgrid(z, y, x, indexing="ij")
    z = (z + view.tilt * y * height / 2).clamp(0, depth - 1)
    plane = view.plane
    columns = (plane[0, 0] * x + plane[0, 1] * y + plane[0, 2], plane[1, 0] * x + plane[1, 1] * y + plane[1, 2])
    grid = torch.stack([*columns, (2 * z + 1) / depth - 1], dim=-1).float()
    source = torch.from_numpy(volume.astype(np.float32))[None, None] + 1024
    wanted = torch.nn.functional.grid_sample(source, grid[None], align_corners=False)[0, 0] - 1024
    assert torch.allclose(view.of(volume), wanted, atol=0.05)
    assert torch.equal(view.of(volume, 5, 9), view.of(volume)[5:14]), "a patch is cut out, not made differently"


def test_a_volume_that_nothing_moves_is_not_interpolated(bright_levels):
    volume, levels = bright_levels
    still = VolumeAugmentation(noise_hu=(0, 0))
    patch, new = augmented_volume(volume, levels, still, np.random.default_rng(0), 40, lambda levels: 15)
    assert np.array_equal(patch, volume[15:55])
    assert np.array_equal(new, levels - 15)

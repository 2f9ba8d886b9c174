"""Ablations and comparisons of networks: which configurations, what is counted, and what the tables say."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from small_cohorts import FIXED, SCORES, scored_cohort
from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.networks import build_l_net, build_s_net
from SScILDScoringLib.preprocessing import SliceInput, VolumeInput
from SScILDScoringTrainingLib.agreement.measures import compare_paired, icc_agreement, weighted_kappa
from SScILDScoringTrainingLib.config import PRESETS
from SScILDScoringTrainingLib.crossvalidation.answers import write_answers
from SScILDScoringTrainingLib.crossvalidation.compare import run_comparison, study_file
from SScILDScoringTrainingLib.crossvalidation.comparison import compared, seed_rows
from SScILDScoringTrainingLib.crossvalidation.comparison_report import write_comparison
from SScILDScoringTrainingLib.crossvalidation.complexity import complexity
from SScILDScoringTrainingLib.crossvalidation.phantom_cohort import PhantomCohort, phantom_cohort
from SScILDScoringTrainingLib.crossvalidation.plan import Plan, Variant, seeds_of, with_changes
from SScILDScoringTrainingLib.crossvalidation.published import ABLATION
from SScILDScoringTrainingLib.crossvalidation.study import Study
from SScILDScoringTrainingLib.crossvalidation.variants import (
    ablation_variants,
    architecture_variants,
    own_variants,
)
from SScILDScoringTrainingLib.recipes import recipe_of


def complete(**network) -> dict:
    config = with_changes(SCORES, {"data.mix": {"cohort": 0.5, "synthetic": 0.5}, "data.balanced": True})
    config["network"] |= network
    return recipe_of(config).plain_config()


def rows(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- which configurations --------------------------------------------------------------------------------------------


def test_an_ablation_has_the_eight_rows_of_the_published_table_in_its_order(tmp_path):
    weights = tmp_path / "imagenet.pth"
    weights.touch()
    variants = ablation_variants(complete(), pretrained=str(weights))
    assert [tuple(v.factors.values()) for v in variants] == list(ABLATION)
    assert [v.name for v in variants] == ["none", "PT", "BS", "DS", "BS + PT", "DS + BS", "DS + PT", "DS + BS + PT"]
    for variant in variants:
        config = with_changes(complete(), variant.changes)
        assert (config["data"]["mix"].get("synthetic", 0) > 0) == variant.factors["ds"]
        assert config["data"]["balanced"] == variant.factors["bs"]
        assert (config["network"]["weights"] == str(weights)) == variant.factors["pt"]
        assert not variant.missing


def test_rows_without_weights_to_start_from_are_listed_and_not_run():
    variants = ablation_variants(complete())
    assert [bool(v.missing) for v in variants] == [v.factors["pt"] for v in variants]
    assert "no file" in ablation_variants(complete(), pretrained="nowhere.pth")[1].missing
    assert "no S-Net" in ablation_variants(complete(), pretrained="nobody_knows_it")[1].missing


def test_any_subset_of_factors_keeps_the_others_as_configured():
    variants = ablation_variants(complete(), ["bs"])
    assert [(v.factors["ds"], v.factors["bs"], v.factors["pt"]) for v in variants] == [
        (True, False, False),
        (True, True, False),
    ]
    for factors in (["ds", "ds"], ["xy"], []):
        with pytest.raises(SettingsError, match=r"factor"):
            ablation_variants(complete(), factors)


def test_weights_behind_an_unset_variable_stop_only_their_own_rows(tmp_path, monkeypatch):
    monkeypatch.delenv("IMAGENET", raising=False)
    monkeypatch.setenv("COHORT", str(tmp_path / "cohort.csv"))
    asked, why_not = study_file("s_net_2024_convnext", (), ("ds", "bs", "pt"), seeds=2)
    assert "IMAGENET" in why_not
    assert asked.factors == ("ds", "bs", "pt")
    with pytest.raises(SettingsError, match="IMAGENET"):
        study_file("s_net_2024_convnext", (), (), factors=["ds"])


def test_networks_are_compared_under_the_same_training():
    config = with_changes(complete(), {"dense": {"lung": 1.0, "patterns": 1.0}})
    variants = architecture_variants(config, ["compact_pool:hidden=8;widths=[4,4,4,4]", "vgg11_bn"])
    assert variants[0].name == "compact_ratio"
    second = with_changes(config, variants[1].changes)
    assert second["network"]["options"] == {"hidden": 8, "widths": [4, 4, 4, 4]}
    assert second["dense"] is None, "it has no maps that could be supervised"
    assert second["training"] == config["training"]
    recipe_of(second)
    for wrong in (["resnet19"], ["resnet18", "resnet18"], ["resnet18:stem"], ["resnet18:width=3"]):
        with pytest.raises(SettingsError):
            architecture_variants(config, wrong)


def test_a_study_file_is_checked_before_anything_is_trained():
    with pytest.raises(SettingsError, match="name and, under set"):
        own_variants([{"title": "a"}])
    with pytest.raises(SettingsError, match="one of them"):
        study_file("s_net_quick", ("data.cohort=none.csv",))
    with pytest.raises(SettingsError, match="cohort table"):
        run_comparison(study_file("s_net_quick", ("data.cohort=null",), ("ds",))[0], "nowhere")
    assert not Path("nowhere").exists()
    assert seeds_of(3) == (1, 2, 3)
    assert seeds_of([7, 9]) == (7, 9)
    with pytest.raises(SettingsError):
        seeds_of(0)


@pytest.mark.parametrize("preset", ["synthesis_on_phantoms", "ablation_on_phantoms"])
def test_the_committed_studies_are_eight_runs_that_can_be_built(preset):
    assert runs_that_can_be_built(preset) == 8


def test_the_committed_study_with_textures_of_patients_can_be_built(real_ct, monkeypatch):
    monkeypatch.setenv("CT", str(real_ct))
    assert runs_that_can_be_built("synthesis_real_textures") == 8


def runs_that_can_be_built(preset: str) -> int:
    """How many runs a study of the presets has, each of whose recipes was built."""
    asked, _ = study_file(preset)
    config = recipe_of(asked.configuration).plain_config()
    variants = ablation_variants(config, asked.factors) if asked.factors else own_variants(asked.variants)
    for variant in variants:
        recipe_of(with_changes(config, variant.changes))
    assert (PRESETS / f"{preset}.yaml").is_file()
    return len(variants) * len(seeds_of(asked.seeds))


# ---- what is counted -------------------------------------------------------------------------------------------------

TRUTH = {f"p{n:02d}": [(5.0 * ((n + k) % 5), 5.0 * ((n + k) % 5), 0.0) for k in range(5)] for n in range(8)}


def made_study(folder: Path, errors: dict[str, list[int]], variants: tuple[Variant, ...] = ()) -> Study:
    """A study whose runs are done: run ``seed`` of a variant answers ``truth + error`` for TOT in every other row."""
    variants = variants or tuple(Variant(name) for name in errors)
    cohort = scored_cohort(TRUTH, folder / "scan.nii.gz")
    cohort = replace(cohort, rows=tuple(replace(r, patient="p00") if r.case == "p01" else r for r in cohort))
    cohort = replace(cohort, rows=tuple(replace(r, fold=1) if r.case == "p01" else r for r in cohort))
    seeds = tuple(range(1, 1 + max(map(len, errors.values()))))
    study = Study.begin(folder, Plan(dict(SCORES), cohort, variants, seeds))
    for job in study.jobs:
        of_seeds = errors[job.job.variant]
        if job.job.seed > len(of_seeds):
            continue
        job.prepare()
        (job.path / "bundle").mkdir()
        answers = []
        for row in job.asked():
            for level, (tot, gg, ret) in enumerate(row.scores, start=1):
                error = of_seeds[job.job.seed - 1] * (level % 2)
                answers.append({"case": row.case, "level": level, "tot": tot + error, "gg": gg, "ret": ret})
        write_answers(job.path / "answers.csv", answers)
        job.finish(4, 4, None, 1.5)
    return study


def test_estimates_are_means_over_the_seeds_of_what_agreement_counts(tmp_path):
    study = made_study(tmp_path, {"first": [5, 15], "second": [10, 10]})
    first = compared(study, samples=300)[0]
    assert (first.n, first.patients, first.seeds, first.minutes) == (40, 7, (1, 2), 6.0)
    tot = first.columns["tot"]
    truth = np.array([s[0] for case in sorted(TRUTH) for s in TRUTH[case]])
    answers = [truth + e * np.array([1, 0, 1, 0, 1] * 8) for e in (5, 15)]
    assert tot.values["mae"] == pytest.approx(np.mean([np.abs(a - truth).mean() for a in answers]))
    assert tot.values["kappa"] == pytest.approx(np.mean([weighted_kappa(truth, a) for a in answers]))
    assert tot.values["icc"] == pytest.approx(np.mean([icc_agreement(truth, a) for a in answers]))
    assert tot.spread["mae"] == pytest.approx(np.std([3, 9], ddof=1))
    low, high = tot.intervals["mae"]
    assert low == pytest.approx(3)
    assert high == pytest.approx(9), "both seeds may be drawn twice"
    assert first.columns["gg"].values["mae"] == 0
    found = list(seed_rows(study))
    assert [r["mae"] for r in found if (r["configuration"], r["column"]) == ("first", "tot")] == [3.0, 9.0]


def test_differences_are_paired_against_the_first_configuration(tmp_path):
    study = made_study(tmp_path, {"first": [5, 15], "second": [10, 10], "third": [20, 20]})
    first, second, third = compared(study, samples=300)
    assert np.isnan(first.columns["tot"].wilcoxon_p)
    assert second.columns["tot"].difference == pytest.approx(0, abs=1e-9), "5 and 15 have the mean 10"
    worse = third.columns["tot"]
    assert worse.difference == pytest.approx(6)
    assert worse.difference_interval == pytest.approx((3, 9))
    errors = np.tile([1.0, 0, 1, 0, 1], 8)
    assert worse.wilcoxon_p == pytest.approx(compare_paired(10 * errors, 20 * errors).wilcoxon_p)
    assert worse.wilcoxon_p < 0.001


def test_a_configuration_with_a_missing_run_says_so_and_keeps_its_other_seeds(tmp_path):
    cannot = Variant("PT", factors={"ds": False, "bs": False, "pt": True}, missing="No weights.")
    none = Variant("none", factors={"ds": False, "bs": False, "pt": False})
    bs = Variant("BS", factors={"ds": False, "bs": True, "pt": False})
    study = made_study(tmp_path, {"none": [5, 5], "BS": [10]}, (none, cannot, bs))
    results = compared(study, {"BS/seed_2/fold_1": "There is no room on the disk."}, samples=100)
    assert [r.seeds for r in results] == [(1, 2), (), (1,)]
    assert results[1].reason == "No weights."
    assert "no room on the disk" in results[2].reason
    written = write_comparison(study, results, samples=100)
    names = {"comparison.md", "comparison.csv", "seeds.csv", "comparison.png", "comparison.pdf"}
    assert {p.name for p in written} == names
    text = (tmp_path / "comparison.md").read_text()
    assert "| -  | -  | -  | 3.00 (2.45) " in text
    assert "8.87 (12.55) .42 .59" in text, "the published row stands beside"
    assert "| not run | 7.85 (10.71) .53 .72" in " ".join(text.split())
    table = rows(tmp_path / "comparison.csv")
    assert [r["configuration"] for r in table[::3]] == ["none", "PT", "BS"]
    assert table[0]["published_mae"] == "8.87"
    assert table[3]["mae"] == ""


def test_published_figures_are_those_of_the_paper():
    assert ABLATION[True, True, True]["tot"] == (5.90, 8.77, 0.66, 0.83)
    assert ABLATION[True, False, True]["ret"] == (4.76, 6.70, 0.62, 0.82)
    assert len(ABLATION) == 8


# ---- size of networks ------------------------------------------------------------------------------------------------


def counted_by_hand(network: nn.Module, image: torch.Tensor) -> int:
    """Two operations for every multiplication of a convolution or a linear layer, by what passes through them."""
    total = 0

    def count(module: nn.Module, _, out: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += 2 * out.numel() * module.in_features
        else:
            total += 2 * out.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network.eval()(image)
    return total


@pytest.mark.parametrize("name", ["compact_pool", "compact_ratio", "resnet18", "vgg11_bn", "convnext_tiny"])
def test_operations_and_parameters_of_s_nets(name):
    found = complexity("s_net", name, {}, SliceInput(64))
    network = build_s_net(name)
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.flops == counted_by_hand(network, torch.zeros(1, 1, 64, 64))


def test_operations_of_an_l_net_and_the_published_sizes():
    given = VolumeInput((40, 32, 32), 32)
    found = complexity("l_net", "compact_3d", {}, given)
    assert found.flops == counted_by_hand(build_l_net("compact_3d"), torch.zeros(1, 1, 32, 32, 32))
    published = complexity("s_net", "convnext_tiny", {}, SliceInput(512))
    assert published.parameters == pytest.approx(27.8e6, rel=0.02)
    assert complexity("s_net", "convnext_tiny", {}, SliceInput(256)).flops == pytest.approx(
        published.flops / 4, rel=0.01
    )


# ---- phantoms --------------------------------------------------------------------------------------------------------


def test_a_cohort_of_phantoms_trains_on_readers_scores_and_asks_for_exact_ones(tmp_path):
    cohort = phantom_cohort(PhantomCohort(2, test=2, validation=1, healthy=True, seed=3, fixed=FIXED), tmp_path)
    assert [len(cohort.of_split(s)) for s in ("train", "validation", "test")] == [2, 1, 2]
    assert all(row.mean_tot == 0 for row in cohort.of_split("train"))
    assert len({row.case for row in cohort}) == 5
    read = [v for row in cohort.of_split("validation") for s in row.scores for v in s]
    assert all(v % 5 == 0 for v in read)
    again = phantom_cohort(PhantomCohort(2, test=2, validation=1, healthy=True, seed=3, fixed=FIXED), tmp_path)
    assert again == cohort
    with pytest.raises(SettingsError, match=r"phantoms\.train"):
        PhantomCohort(0)

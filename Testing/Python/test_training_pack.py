"""From a training run to a verified bundle, under both names of the command."""

from __future__ import annotations

import re

import pytest
import torch
import yaml
from typer.testing import CliRunner

from SScILDScoringLib.errors import ModelError
from SScILDScoringLib.models import ModelBundle
from SScILDScoringTrainingLib.checkpoints import save_checkpoint
from SScILDScoringTrainingLib.cli import app
from SScILDScoringTrainingLib.packing import pack_run
from SScILDScoringTrainingLib.recipes import recipe_of

CONFIG = {
    "recipe": "levels",
    "network": {"name": "compact_3d", "options": {"widths": [2, 4, 4, 8], "head_width": 16}},
    "input": {"size": [48, 32, 32], "depth": 40, "hu_window": [-1024, 500], "stride": 4},
    "data": {},
    "training": {"batch_size": 2, "steps": 4, "learning_rate": 1e-3},
    "bundle": {"name": "small_l_net", "description": "A test."},
}


@pytest.fixture
def run(tmp_path):
    """A run folder as training leaves it: configuration and best checkpoint."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    recipe = recipe_of(CONFIG)
    (folder / "config.yaml").write_text(yaml.safe_dump(recipe.plain_config()))
    torch.manual_seed(0)
    state = {"network": recipe.network().state_dict(), "step": 4, "figures": {"mae": 3.25}}
    save_checkpoint(folder / "checkpoints" / "best.pt", state)
    return folder


@pytest.mark.parametrize("command", [["models", "pack"], ["pack"]])
def test_both_commands_make_a_bundle_with_a_model_card(run, command):
    done = CliRunner().invoke(app, [*command, str(run), "--quiet"])
    assert done.exit_code == 0, done.output
    bundle = ModelBundle.load(run / "bundle", "l_net")
    assert bundle.network_name == "compact_3d"
    card = (run / "bundle" / "docs" / "README.md").read_text()
    assert re.search(r"small_l_net, seed 1, step 4", card)
    assert "3.25" in card


def test_a_bundle_that_answers_otherwise_than_the_trained_network_is_refused(run):
    wide = {**CONFIG, "network": {"name": "compact_3d", "options": {"widths": [2, 4, 4, 8], "head_width": 64}}}
    recipe = recipe_of(wide)
    (run / "config.yaml").write_text(yaml.safe_dump(recipe.plain_config()))
    network = recipe.network().eval()
    # Weights too small for float16, which the norm behind them makes large again.
    blocks = [m.branch for m in network.modules() if hasattr(m, "branch")]
    with torch.no_grad():
        for block in blocks:
            block[0].weight *= 1e-9
            block[1].weight *= 1e12
    state = {"network": network.state_dict(), "step": 4, "figures": {"mae": 1.0}}
    save_checkpoint(run / "checkpoints" / "best.pt", state)
    with pytest.raises(ModelError, match="float16"):
        pack_run(run, run / "bundle")

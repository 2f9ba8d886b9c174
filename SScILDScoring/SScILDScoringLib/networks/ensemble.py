"""Several networks of one kind and one architecture that answer together: the mean of their answers.

A model bundle stores an ensemble as one network called ``ensemble`` whose options are the members' own and two more:

>>> from SScILDScoringLib.networks import build_network
>>> network = build_network("s_net", "ensemble", of="compact_ratio", members=4, stem_stride=4)
>>> network.options["members"], len(network.members)
(4, 4)

Its parameters are the members', under ``members.0.``, ``members.1.`` and so on.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ..errors import SettingsError

ENSEMBLE = "ensemble"
MOST_MEMBERS = 100


class Ensemble(nn.Module):
    """The mean of several networks' answers, each as the network gives it (before anything is limited to 0..100).

    The mean is linear, so that whatever adds up changes of answers (heat maps) may also be computed for each of
    ``members`` and averaged. It has no maps of its own: the mean of ratios is not the ratio of mean maps.

    Args:
        members: at least one network, all of one name, with one set of options.

    Raises:
        SettingsError: no network, or networks that differ.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not len(self.members):
            raise SettingsError("An ensemble has at least one network.")
        first = self.members[0]
        for member in self.members:
            if (member.name, member.options) != (first.name, first.options):
                raise SettingsError(
                    f"The networks of an ensemble are alike, not {first.name} {first.options} and {member.name} "
                    f"{member.options}."
                )
        self.name = ENSEMBLE
        self.options = {"of": first.name, "members": len(self.members), **first.options}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([member(x).float() for member in self.members]).mean(dim=0)


def build_ensemble(kind: str, of: str | None = None, members: int = 0, **options) -> Ensemble:
    """An ensemble of new networks.

    Args:
        kind: ``l_net`` or ``s_net``. of: the members' name, one of the kind's. members: how many.
        options: of every member.

    Raises:
        SettingsError: an unknown name or option, an ensemble of ensembles, or a number that is not usable.
    """
    from . import build_network

    if of is None or of == ENSEMBLE:
        raise SettingsError("An ensemble's option 'of' is the name of a single network.")
    if type(members) is not int or not 1 <= members <= MOST_MEMBERS:
        raise SettingsError(f"The option 'members' of an ensemble is a number from 1 to {MOST_MEMBERS}.")
    return Ensemble(build_network(kind, of, **options) for _ in range(members))

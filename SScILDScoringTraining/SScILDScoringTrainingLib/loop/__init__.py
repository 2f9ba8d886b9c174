"""The training loop, one concept a file. Its public face is :mod:`..training`.

``recipe.py`` what the loop needs to know of a network, ``trainer.py`` the order of things, ``state.py`` what a
checkpoint holds, ``step.py`` one step of the optimiser, ``schedule.py`` the learning rate, ``precision.py`` device and
number formats, ``determinism.py``, ``freezing.py``, ``team.py`` several processes, ``batch_norm.py`` their common
statistics, ``tracking.py`` and ``mlflow_tracking.py`` where curves go, ``starting_weights.py`` ImageNet files and
bundles, ``signals.py`` Ctrl-C, ``estimate.py`` and ``memory.py`` what a training will need.
"""

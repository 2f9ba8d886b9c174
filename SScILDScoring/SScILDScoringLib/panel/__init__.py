"""The module's panel in 3D Slicer: the only layer that knows Qt.

``widget.py`` holds the panel together, ``desk.py`` is what its sections share, one file stands for each section,
``worker_bridge.py`` talks to the worker process that does all heavy work. Nothing here imports torch.
"""

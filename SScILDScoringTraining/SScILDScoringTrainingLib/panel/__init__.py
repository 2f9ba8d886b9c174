"""The training module's panel in 3D Slicer.

``widget.py`` holds the panel together, ``desk.py`` is what its sections share, one file stands for each section. Small
parts (rows with progress and cancel, tables, the bridge to a worker process) are those of the scoring module's panel.
Nothing here imports torch: short jobs are done by a worker process, trainings run in processes of their own.
"""

"""The scene layer of the training module: MRML nodes that show a run; vtk and slicer, no qt."""

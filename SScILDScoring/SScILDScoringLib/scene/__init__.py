"""The scored case as MRML nodes: volumes, level planes, views, overlays, tables. Needs vtk and slicer, never Qt.

Everything here works on a scene alone, without Slicer's application, main window or modules, so that the console,
the batch and the command line can use it. Names are in Slicer's camelCase. Lengths are millimetres, positions RAS.
"""

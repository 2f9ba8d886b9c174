# Slicer writes <Extension>Config.cmake here, for other extensions; nothing of it concerns Python modules.

# Stand-in for Slicer's build tree: find_package(Slicer) and the include() lines of an extension made of scripted
# modules work without Slicer. It checks what Slicer's own macros check, and installs files where they would lie.
# Used by: cmake -S <extension> -B <build> -DSlicer_DIR=<this folder>
set(Slicer_FOUND TRUE)
set(Slicer_VERSION "5.13")
set(Slicer_USE_PYTHONQT ON)
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicerStub.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/GenerateConfigStub.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/CPackStub.cmake")

# One flat folder for all modules, as in the application (there below lib/Slicer-<version>/).
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "qt-scripted-modules")
set(Slicer_INSTALL_ROOT "")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_INSTALL_ROOT}${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

"""``slicer.i18n``: translation of texts. Here every language is English, but the rules for texts are checked."""

from __future__ import annotations


def translate(context: str, text: str) -> str:
    """The text in the application's language."""
    from slicer import app

    return app.translate(context, text)


def getContext(sourceFile: str) -> str:
    """The translation context of a source file: its name, behind the package's when there is one."""
    from pathlib import Path

    path = Path(sourceFile)
    inPackage = (path.parent / "__init__.py").is_file()
    return f"{path.parent.name}.{path.stem}" if inPackage else path.stem


def tr(text: str) -> str:
    """Translate a text; the context is the caller's file."""
    import sys

    return translate(getContext(sys._getframe(1).f_code.co_filename), text)

"""Modules of other extensions that a panel may ask for: SampleData (always there) and PyTorchUtils (if installed)."""

from __future__ import annotations

import types

from standins.dialogs import dialogs


class SampleDataSource(types.SimpleNamespace):
    """One entry of the Sample Data module."""


class SampleDataLogic:
    """Registers sample data and fetches them; downloads go through ``customDownloader`` or ``loadVolume`` there."""

    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        """A heading with its title."""
        import slicer

        titles = vars(slicer.modules).setdefault("sampleDataSourceCategories", {})
        titles.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
    ):
        """An entry below a heading."""
        import slicer

        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            checksums=checksums,
        )
        sources = vars(slicer.modules).setdefault("sampleDataSources", {})
        sources.setdefault(category, []).append(source)

    def downloadSamples(self, sampleName):
        """The nodes of an entry. Only entries with a ``customDownloader``: nothing is downloaded in tests."""
        import slicer

        for sources in getattr(slicer.modules, "sampleDataSources", {}).values():
            for source in sources:
                if source.sampleName == sampleName:
                    return [source.customDownloader(source)]
        raise ValueError(f"there are no sample data {sampleName}")

    def downloadSample(self, sampleName):
        """The first node of an entry."""
        return self.downloadSamples(sampleName)[0]


def sampleDataModule() -> types.ModuleType:
    """What ``import SampleData`` gives."""
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    module.downloadSample = lambda sampleName: SampleDataLogic().downloadSample(sampleName)
    return module


def pyTorchUtilsModule(torchIsThere: bool = False) -> types.ModuleType:
    """What ``import PyTorchUtils`` gives when the PyTorch extension is installed.

    ``installTorch`` is shown as a dialog of kind "install torch"; the answer is the torch module, or None for declined.
    """

    class PyTorchUtilsLogic:
        """Installs torch."""

        @staticmethod
        def torchInstalled():
            """Whether torch can be imported."""
            return torchIsThere

        def installTorch(
            self,
            askConfirmation=False,
            forceComputationBackend=None,
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):
            """The torch module, or None when the person declined."""
            answer = dialogs.ask("install torch", str(torchVersionRequirement), default="declined")
            return None if answer == "declined" else answer

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    return module

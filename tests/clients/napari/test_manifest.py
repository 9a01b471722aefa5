import pytest

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20"
)  # npe2's models

NAME = "phenoserve-client"


def test_the_manifest_is_valid():
    """npe2 finds the manifest by the distribution's entry point, and reads it."""
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution(NAME)
    assert manifest.name == NAME
    assert manifest.package_version


def test_the_plugin_manager_offers_the_widget():
    """The plugin manager, looking for plugins as napari does, finds one widget and what makes it."""
    from npe2 import PluginManager

    manager = PluginManager()
    manager.discover()
    (widget,) = manager.get_manifest(NAME).contributions.widgets
    assert widget.display_name == "Explain a stack"
    (command,) = manager.get_manifest(NAME).contributions.commands
    assert command.id == widget.command
    assert command.python_name == "phenoclient.napari.dock:ExplainStack"

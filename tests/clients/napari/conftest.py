import pytest


@pytest.fixture(autouse=True)
def _napari_of_its_own(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

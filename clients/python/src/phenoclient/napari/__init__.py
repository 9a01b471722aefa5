"""A plugin of the viewer napari: the open layers as a stack, the answer as a heatmap over them.

napari finds it by `napari.yaml`. Needs the extra `phenoserve-client[napari]` and a Qt binding of the user's choice;
only `dock`, `bars` and `qt` import Qt.
"""

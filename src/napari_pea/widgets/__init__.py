"""Docks for napari: thin faces of `napari_pea.core.segmenter.Segmenter`."""

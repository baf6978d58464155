"""The four stages from an image to labels; free of napari and Qt."""

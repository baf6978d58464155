"""Segmenting arrays that are larger than memory: block by block, then across the faces."""

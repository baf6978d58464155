"""The experiments of the papers: their data sets, baselines and tables."""

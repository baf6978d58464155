"""Data sets and recipes: what the shipped models were made from, and how."""

"""Configs: programs that state their differences from `configs/base.py`, loaded and held against rules."""

"""Measurements of the product, each against a baseline that is taken in the same run.

``make bench NAME=x [DATA=dir] [FULL=1]`` runs ``benchmarks/x.py`` through ``runner.py``. A
benchmark only measures; the runner alone decides whether its goals hold.
"""

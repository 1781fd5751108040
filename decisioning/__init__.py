"""Decide: scores and policy become one explained decision.

Pure: arrays, frozen dataclasses and policy go in, decisions come out; no clock, no I/O, no model library.
"""

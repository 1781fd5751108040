"""Learns who responds and who leaves: profiles and contacts -> judged models in MLflow (LightGBM text and JSON)."""

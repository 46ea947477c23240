"""Proofs and measurements: commands that print figures and write them into the docs."""

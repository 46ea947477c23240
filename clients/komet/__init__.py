"""Komet Sales: its settings, its wire form, its client."""

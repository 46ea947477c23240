"""Axerrio: its settings, its wire form, its client."""

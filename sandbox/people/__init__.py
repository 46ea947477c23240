"""The people who work in both systems, played through the control interface."""

"""A simulated Komet Sales company as a vendor token sees it."""

"""A simulated Axerrio: the tenants behind the adapter API, version 1."""

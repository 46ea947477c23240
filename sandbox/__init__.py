"""A simulated Komet and a simulated Axerrio, served over real HTTP by one process.

It stands in for the outside world in the demo, the tests and the benchmarks, and serves anyone who builds against
either system: `python -m sandbox`. Each system has its own port and knows only its own wire format; a control
interface under `/control` on both ports seeds companies and tenants, plays the people who work in them, orders
faults (lost answers, resets, slowness, ...) and tells what really happened. Nothing here knows the integration.
"""

"""The queues: reads, the work on orders, and what is done now and then."""

OBSERVE, ORDERS, MAINTENANCE = "observe", "orders", "maintenance"

"""How it runs: settings, the Celery app, embedded services, the command line."""

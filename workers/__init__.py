"""The background processes: Celery app, schedule, watch."""

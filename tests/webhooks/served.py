"""The application that the socket tests start in gunicorn: a cap of 4 MB, bodies must arrive within a second."""

from datetime import timedelta

from tests.webhooks.receiving import site

app = site(cap=4_000_000, patience=timedelta(seconds=1)).app

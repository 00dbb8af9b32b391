"""Helm charts from chart repositories and registries: which versions there are, and their files. Called by flow."""

from driftline.adapters.charts.chart import Chart
from driftline.adapters.charts.charts import Charts, Report
from driftline.adapters.charts.settings import ChartSettings

__all__ = ["Chart", "ChartSettings", "Charts", "Report"]

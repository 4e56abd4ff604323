"""Prometheus, Alertmanager and Grafana in memory."""

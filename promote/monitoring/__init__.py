"""Prometheus, Alertmanager and Grafana: their clients, alerts as values, and PromQL expressions that are limited to one promotion's time."""

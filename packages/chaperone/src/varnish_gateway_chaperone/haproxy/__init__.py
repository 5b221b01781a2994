"""HAProxy before varnishd: what it runs (pure), how it is started, and what it is told while it runs."""

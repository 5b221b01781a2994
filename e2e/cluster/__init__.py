"""A real Kubernetes of one node for tests, in namespaces of its own: nothing outside of them changes."""

"""What both programs know of the Kubernetes API: how to address it, how it fails, and how to follow a collection.

No client is here: each program brings one of its own, behind the protocol `Reader`.
"""

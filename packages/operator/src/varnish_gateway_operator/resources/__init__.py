"""Kubernetes objects as frozen models of only what we read: shapes, types, ranges and names, and no decisions.

One model serves two readers: what comes from a cluster is read leniently (unknown fields are passed over, the API
server has judged them), what comes from files strictly (unknown fields are mistakes, for nobody else judges them).
Enumerations are plain strings here: the specification wants a condition for an unknown value, not a refused object.
"""

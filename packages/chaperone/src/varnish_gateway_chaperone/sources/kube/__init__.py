"""Inputs from a cluster: the ConfigMaps and Secrets of a gateway, and the EndpointSlices of its Services' namespaces.

client --list, watch--> following --Known--> Assembly (pure) --> Inputs
"""

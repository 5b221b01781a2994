"""A Gateway's objects in a cluster, as complete manifests. Pure, like all of translation.

owned <- config_maps, certificates, access, workload, service, network_policy <- pod <- shape
"""

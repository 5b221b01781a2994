"""The cluster's side of the operator: what is read from the API server, and what is written to it.

client      the only importer of kubernetes_asyncio
kinds       which kinds are followed, and where they are in the API
store       everything that was read, as a frozen view
following   keeps a store up to date
reports     what pods report, and which of them are ready
apply       objects of ours: server-side apply, repair, removal
statuses    statuses of others' objects: merged, with the version that was read
lease       which of several operators may write
"""

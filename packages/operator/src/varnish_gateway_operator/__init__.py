"""The operator: Gateway API objects in, what a gateway serves and the objects' statuses out.

resources <- snapshot <- translate (pure) <- files, state <- app <- cli
"""

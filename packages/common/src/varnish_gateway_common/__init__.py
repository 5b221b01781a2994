"""The documents that the programs exchange, and nothing else: no I/O beyond `files` and `manifests`.

routing.json   operator -> chaperone   what is routed where            (`routing`)
pod.json       operator -> chaperone   what the pod template fixes     (`pod`)
ghost.json     chaperone -> ghost      routing.json and the endpoints  (`ghost`)
certificates.json  operator -> chaperone  which certificate answers for which name  (`certificates`)
secrets.json, routing.parts.json  operator -> chaperone  in a cluster: what is in other objects  (`parts`)
report.json    chaperone -> operator   what really runs                (`report`)
"""

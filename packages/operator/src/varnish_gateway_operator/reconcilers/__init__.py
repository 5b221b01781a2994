"""Who writes what: two reconcilers with the same plan, and no field that both write.

httproute   the routing documents, with the field manager `varnish-gateway-httproute`; statuses of HTTPRoutes
gateway     all other objects and keys, with the field manager `varnish-gateway-gateway`; the other statuses, with the
            numbers of attached routes in them; removal of what is not wanted any more
"""
